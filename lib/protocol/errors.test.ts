import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { AppError, errorPayload, httpStatus } from './errors';

it('E2 an unforeseen failure loses its text, a foreseen one keeps it', () => {
  expect(errorPayload(new Error('the password is x'))).toEqual({
    code: 'internal',
    message: 'Something went wrong on the server.',
  });
  const known = new AppError('conflict', 'It is there already.', { details: { rev: 2 } });
  expect(errorPayload(known)).toEqual({ code: 'conflict', message: 'It is there already.', details: { rev: 2 } });
});

it('E3 a want of file handles is no_capacity, wherever it strikes', () => {
  for (const code of ['EMFILE', 'ENFILE']) {
    const payload = errorPayload(Object.assign(new Error(`${code}: too many open files`), { code }));
    expect(payload).toMatchObject({ code: 'no_capacity', details: { reason: 'handle_limit' } });
    expect(httpStatus(payload.code)).toBe(503);
  }
  let other: unknown;
  try {
    readdirSync('/nowhere');
  } catch (error) {
    other = error;
  }
  expect(errorPayload(other).code).toBe('internal');
});
