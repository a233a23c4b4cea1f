/** What stores refuse, in one wording for all of them. */
import { AppError } from '@/lib/protocol/errors';
import type { SessionLimit } from './store';

/** There is no such record, or it is deleted. */
export function unknownRecord(): AppError {
  return new AppError('not_found', 'There is no such record.');
}

/** The id of a new record was used before. */
export function idTaken(): AppError {
  return new AppError('conflict', 'This id is taken.');
}

/** The stored rev is another than that of the change. */
export function revChanged(rev: number): AppError {
  return new AppError('conflict', 'Somebody else changed this in the meantime.', { details: { rev } });
}

/** The owner has a project of this directory. */
export function pathTaken(path: string): AppError {
  return new AppError('conflict', 'There is a project for this directory already.', {
    details: { reason: 'path_taken', path },
  });
}

/** The owner has as many projects as there may be. */
export function tooManyProjects(max: number): AppError {
  return new AppError('bad_request', `There are ${max} projects, which is the limit. Remove one first.`, {
    details: { limit: 'projects', max },
  });
}

const LIMIT_TEXT = {
  project: (max: number) => `This project runs ${max} terminals, which is its limit. End one first.`,
  user: (max: number) => `You run ${max} terminals, which is your limit. End one first.`,
  records: (max: number) => `You have ${max} terminals, ended ones included, which is the limit. Close one first.`,
} as const;

/** The limit is reached. */
export function tooManySessions({ limit, max }: SessionLimit): AppError {
  return new AppError('session_limit_reached', LIMIT_TEXT[limit](max), { details: { limit, max } });
}
