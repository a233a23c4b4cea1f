/** The commands of Holdfast: which one is meant, and how its failures are told. */
import { parseArgs } from 'node:util';
import { ConfigError, loadConfig, ownEnvironment } from '@/lib/config';
import { buildIfNeeded } from './build';
import { CommandError } from './command-error';
import { dev } from './dev';
import { open } from './open';
import { showConfig } from './show-config';
import { start } from './start';
import { stop } from './stop';
import { onStopSignals } from './stop-signals';

const USAGE = `Usage: holdfast <command>

  start         build if needed, run web and sidecar, print a login link
  stop          stop web and sidecar; sessions keep running
  stop --all    and end all sessions
  open          print a fresh login link
  build         build if needed
  dev           run with hot reload
  dev --debug   and with source maps
  config        show the settings in effect; --json for programs

Settings: see .env.example.`;

const COMMANDS = ['start', 'stop', 'open', 'build', 'dev', 'config'] as const;
type Command = (typeof COMMANDS)[number];

type Arguments = { command: Command; isAll: boolean; isDebug: boolean; isJson: boolean };

/** Runs the command that the arguments name, in the package's directory, and gives the exit code. */
export async function runCommand(args: string[]): Promise<number> {
  // A terminal that was closed must not keep the launcher from stopping its processes in order.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => stream.destroy());
  const given = readArguments(args);
  if (typeof given === 'string') {
    (given === USAGE ? process.stdout : process.stderr).write(`${given}\n`);
    return given === USAGE ? 0 : 2;
  }
  try {
    return await run(given);
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

function run({ command, isAll, isDebug, isJson }: Arguments): Promise<number> {
  const root = process.cwd();
  switch (command) {
    case 'start':
      return start(loadConfig({ ...ownEnvironment(), NODE_ENV: 'production' }), root, say);
    case 'dev':
      return dev(loadConfig({ ...ownEnvironment(), NODE_ENV: 'development' }), { root, isDebug, say });
    case 'stop':
      return stop(loadConfig(), { isAll, say });
    case 'open':
      return open(loadConfig(), say);
    case 'build':
      return build(root);
    case 'config':
      return showConfig({ isJson, say });
  }
}

async function build(root: string): Promise<number> {
  const stopping = new AbortController();
  const removeSignals = onStopSignals({ stop: () => stopping.abort(), force: () => process.exit(130) });
  try {
    const isNew = await buildIfNeeded({ root, say, signal: stopping.signal });
    if (!isNew) say('There is a build of these sources already.');
    return 0;
  } finally {
    removeSignals();
  }
}

function say(line: string): void {
  if (!process.stdout.destroyed) process.stdout.write(`${line}\n`);
}

/** The command, or what to tell instead of running one. */
function readArguments(args: string[]): Arguments | string {
  try {
    const { positionals, values } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        all: { type: 'boolean', default: false },
        debug: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const command = COMMANDS.find((name) => name === positionals[0]);
    if (values.help) return USAGE;
    if (!command || positionals.length > 1) return `Unknown command: ${positionals.join(' ') || '(none)'}\n\n${USAGE}`;
    if (values.all && command !== 'stop') return `--all belongs to stop.\n\n${USAGE}`;
    if (values.debug && command !== 'dev') return `--debug belongs to dev.\n\n${USAGE}`;
    if (values.json && command !== 'config') return `--json belongs to config.\n\n${USAGE}`;
    return { command, isAll: values.all, isDebug: values.debug, isJson: values.json };
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`;
  }
}
