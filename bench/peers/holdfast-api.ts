/** The REST API as a machine client calls it: with the token of the data directory, and every answer checked. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { AppError } from '@/lib/protocol/errors';
import { errorAnswerSchema, listProjectsAnswerSchema, projectAnswerSchema } from '@/lib/protocol/rest';

const DEADLINE_MS = 60_000;

export class HoldfastApi {
  readonly #url: string;
  readonly #dataDir: string;

  constructor(url: string, dataDir: string) {
    this.#url = url;
    this.#dataDir = dataDir;
  }

  /** @throws AppError what Holdfast refused, or the error of a connection that failed */
  async call<T>(method: string, path: string, answer: z.ZodType<T>, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${readFileSync(join(this.#dataDir, 'token'), 'utf8').trim()}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    const json: unknown = await response.json();
    if (response.ok) return answer.parse(json);
    const { error } = errorAnswerSchema.parse(json);
    throw new AppError(error.code, error.message);
  }

  /** The id of the project at a directory, which becomes one if it is none. */
  async project(path: string): Promise<string> {
    const { projects } = await this.call('GET', '/api/workspace/projects', listProjectsAnswerSchema);
    const known = projects.find((project) => project.path === path);
    if (known) return known.id;
    const body = { name: 'bench', path };
    return (await this.call('POST', '/api/workspace/projects', projectAnswerSchema, body)).project.id;
  }
}
