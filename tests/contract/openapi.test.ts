/** The OpenAPI document is valid, complete, and what the routes really take and answer. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { ApiDocument } from '@/tests/harness/api-document';
import { Rest } from '@/tests/harness/rest';

let rest: Rest;
beforeAll(async () => {
  rest = await Rest.start();
}, 60_000);
afterEach(() => rest.clear());
afterAll(() => rest?.stop());

async function read(): Promise<Record<string, unknown>> {
  const { status, json } = await rest.web.call('GET /api/openapi.json', { as: 'none' });
  expect(status).toBe(200);
  return z.looseObject({}).parse(json);
}

it('R21 the document is OpenAPI 3.1', async () => {
  const validator = new Validator();
  const result = await validator.validate(await read());
  expect(result.errors ?? []).toEqual([]);
  expect(validator.version).toBe('3.1');
});

it('R21 the document has exactly the routes and verbs that are there', async () => {
  const documented = Object.entries(new ApiDocument(await read()).paths).flatMap(([path, verbs]) =>
    Object.keys(verbs).map((verb) => `${verb} ${path}`),
  );
  const there: string[] = [];
  for (const { url, verbs } of rest.web.routes) {
    if (!url.startsWith('/api/') || url.includes('[...')) continue;
    const allow = (
      await verbs.OPTIONS(
        new Request(new URL(url, rest.web.config.publicUrl), {
          headers: { host: new URL(rest.web.config.publicUrl).host },
        }),
        { params: Promise.resolve(undefined) },
      )
    ).headers.get('allow');
    for (const verb of allow?.split(', ') ?? []) {
      if (verb !== 'HEAD' && verb !== 'OPTIONS')
        there.push(`${verb.toLowerCase()} ${url.replaceAll('[', '{').replaceAll(']', '}')}`);
    }
  }
  expect(documented.sort()).toEqual(there.sort());
  expect(there.length).toBeGreaterThan(15);
});

it('R21 an answer that the document does not say is told', async () => {
  const document = new ApiDocument(await read());
  const answer = {
    method: 'GET',
    url: '/api/health',
    status: 200,
    contentType: 'application/json',
    json: { status: 'ok' },
  };
  expect(document.problemOf(answer)).toBeNull();
  expect(document.problemOf({ ...answer, json: { status: 'ok', more: 1 } })).toContain('additional properties');
  expect(document.problemOf({ ...answer, status: 201 })).toContain('201 is not documented');
  expect(document.problemOf({ ...answer, url: '/api/nowhere' })).toContain('not documented');
});
