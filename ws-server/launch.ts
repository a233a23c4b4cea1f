/** How a session's program is started: argument array and allow-listed environment. */
import { homedir, userInfo } from 'node:os';
import type { Config } from '@/lib/config';
import { cleanLabel } from '@/lib/protocol/clean-text';
import type { SessionType } from '@/lib/protocol/control';
import type { Launch } from './link';

/** Variables of the gateway that a host and a shell may have; everything else stays here. */
const PASSED_ON = ['HOME', 'USER', 'LOGNAME', 'LANG', 'TZ', 'SSH_AUTH_SOCK', 'XDG_RUNTIME_DIR', 'DISPLAY'];
const LOCALE = /^LC_[A-Z]+$/;
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What npm puts before the PATH of the commands that it runs. */
const NPM_PATH_ENTRY = /\/(node_modules\/\.bin|node-gyp-bin)$/;

function ownPath(env: NodeJS.ProcessEnv): string {
  const entries = (env['PATH'] ?? '').split(':').filter(Boolean);
  if (env['npm_lifecycle_event'] !== undefined) {
    while (entries[0] && NPM_PATH_ENTRY.test(entries[0])) entries.shift();
  }
  return entries.join(':') || DEFAULT_PATH;
}

/** The part of the gateway's environment that is the user's own: what hosts run with, and shells build on. */
export function cleanEnvironment(shell: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const clean: Record<string, string> = { PATH: ownPath(env), HOME: homedir() };
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && (PASSED_ON.includes(name) || LOCALE.test(name))) clean[name] = value;
  }
  clean['USER'] ??= clean['LOGNAME'] ?? userInfo().username;
  clean['LOGNAME'] ??= clean['USER'];
  const hasLocale = clean['LC_ALL'] || clean['LC_CTYPE'] || clean['LANG'];
  if (!hasLocale) clean['LANG'] = 'C.UTF-8'; // the terminal is UTF-8, and programs ask the locale
  if (shell.startsWith('/')) clean['SHELL'] = shell;
  else if (env['SHELL']) clean['SHELL'] = env['SHELL'];
  return clean;
}

/** Puts a text in quotes so that sh, bash, zsh, dash and fish read it back as it was. */
export function quote(text: string): string {
  // fish takes a backslash inside single quotes for an escape, so that it stands outside of them.
  return `'${text.replace(/['\\]/g, (character) => `'\\${character}'`)}'`;
}

/** `$1` is the name of a missing command as it is shown, `$2` the hint for it, the rest the command line. */
const AGENT_SCRIPT = [
  'name=$1; hint=$2; shift 2',
  'if command -v -- "$1" >/dev/null 2>&1; then exec "$@"; fi',
  'printf "\\033[1;33m%s is not installed.\\033[0m\\n%s\\n" "$name" "$hint"',
  'exit 127',
].join('; ');

function installHint(command: string): string {
  return command === 'claude'
    ? 'Install it with: npm install -g @anthropic-ai/claude-code'
    : 'Install it, or set HOLDFAST_AGENT_COMMAND to a command that is on your PATH.';
}

/** The arguments for a shell that starts the agent, so that the user's own profile has set the PATH. */
export function agentArguments(command: string[]): string[] {
  const [name = ''] = command;
  const words = ['/bin/sh', '-c', AGENT_SCRIPT, 'holdfast-agent', cleanLabel(name), installHint(name), ...command];
  return ['-lic', `exec ${words.map(quote).join(' ')}`];
}

/** The program of a new session. */
export function launchOf(
  session: { id: string; type: SessionType },
  config: Pick<Config, 'shell' | 'agentCommand'>,
  env: NodeJS.ProcessEnv,
): Launch {
  return {
    file: config.shell,
    args: session.type === 'claude' ? agentArguments(config.agentCommand) : ['-l'],
    env: {
      ...cleanEnvironment(config.shell, env),
      TERM: 'xterm-256color',
      COLORTERM: 'truecolor',
      TERM_PROGRAM: 'Holdfast',
      HOLDFAST_SESSION: session.id,
    },
  };
}
