/** Directories inside the allowed roots, checked on the handle that is then used. */
import { closeSync, constants, existsSync, openSync, readlinkSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@/lib/protocol/errors';

/** An open directory. `path` is real; `handlePath` names the very same directory, whatever happens to its name. */
export type OpenDirectory = { path: string; handlePath: string; close(): void };

const hasProc = existsSync('/proc/self/fd');

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

/** The root's own real path, or null when nothing can be found at it: then nothing lies in it. */
function realRoot(root: string): string | null {
  try {
    return realpathSync(root);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG'].includes(codeOf(error))) return null;
    throw error;
  }
}

function isWithin(path: string, root: string): boolean {
  return path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`);
}

/** The system's name of an error, or ''. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function refusal(path: string, code: string): AppError | null {
  const at = (reason: string) => ({ details: { reason, path } });
  switch (code) {
    case 'ENOENT':
      return new AppError('bad_request', `There is no directory ${path}.`, at('path_not_found'));
    case 'ENOTDIR':
      return new AppError('bad_request', `${path} is not a directory.`, at('not_a_directory'));
    case 'ELOOP':
      return new AppError('bad_request', `${path} is a link that leads in circles.`, at('path_not_found'));
    case 'ENAMETOOLONG':
      return new AppError('bad_request', 'The path is too long.', at('path_not_found'));
    case 'EACCES':
    case 'EPERM':
      return new AppError('forbidden', `${path} may not be opened.`, at('no_permission'));
    default:
      return null;
  }
}

/**
 * Opens a directory that lies in one of the roots, all links resolved. The caller closes it.
 * @throws AppError `bad_request` when there is none, `forbidden` when it is outside the roots or may not be opened
 */
export function openDirectory(given: string, roots: string[]): OpenDirectory {
  const path = expandHome(given);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw refusal(given, codeOf(error)) ?? error;
  }
  let real: string;
  try {
    real = hasProc ? readlinkSync(`/proc/self/fd/${fd}`) : realpathSync(path);
    if (!roots.some((root) => isWithin(real, realRoot(expandHome(root)) ?? '\0'))) {
      throw new AppError('forbidden', `${given} is outside the allowed directories: ${roots.join(', ')}.`, {
        details: { reason: 'outside_roots', roots },
      });
    }
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return { path: real, handlePath: hasProc ? `/proc/self/fd/${fd}` : real, close: () => closeSync(fd) };
}
