/** Bad input of every kind: its code, a clear message, and nothing changes. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ErrorCode } from '@/lib/protocol/errors';
import type { Project, TerminalSession } from '@/lib/protocol/rest';
import { Rest } from '@/tests/harness/rest';
import type { Verb, WebRequest } from '@/tests/harness/web';

const CHANGES: readonly Verb[] = ['POST', 'PUT', 'PATCH', 'DELETE'];
const VERBS: readonly Verb[] = ['GET', ...CHANGES];
const PUBLIC = ['GET /api/health', 'GET /api/ready', 'GET /api/openapi.json', 'POST /api/auth/local'];

let rest: Rest;
let project: Project;
let session: TerminalSession;
let before: unknown;

beforeAll(async () => {
  rest = await Rest.start();
  project = await rest.makeProject('Mine');
  session = (await rest.create(project)).session;
  mkdirSync(join(rest.home, 'other'));
  mkdirSync(`${project.path}-evil`);
  writeFileSync(join(project.path, 'file'), '');
  symlinkSync('/etc', join(project.path, 'outside'));
  symlinkSync(join(rest.home, 'other'), join(project.path, 'beside'));
  symlinkSync('loop', join(project.path, 'loop'));
  symlinkSync('nowhere', join(project.path, 'dangling'));
  symlinkSync('/etc', join(rest.home, 'etc'));
  before = await rest.fingerprint();
}, 60_000);
afterEach(async () => {
  expect(await rest.fingerprint()).toEqual(before);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});
afterAll(() => rest?.stop());

/** A route's URL with ids that exist. */
function urlOf(route: string): string {
  return route.replace('[sessionId]', session.id).replace('[id]', project.id).replace('[...path]', 'no/such/route');
}

/** Every verb of every route file that is not answered with 405 or 404. */
async function manifest(): Promise<string[]> {
  const lines: string[] = [];
  for (const { url } of rest.web.routes) {
    if (url.includes('[...')) continue;
    const { headers } = await rest.web.call(`OPTIONS ${urlOf(url)}`, { as: 'none' });
    const allowed = headers.get('allow')?.split(', ') ?? [];
    lines.push(...VERBS.filter((verb) => allowed.includes(verb)).map((verb) => `${verb} ${url}`));
  }
  return lines;
}

describe('A6 every route', () => {
  it('A6 answers 401 without credentials, except health, readiness, the API document and the login', async () => {
    const lines = await manifest();
    expect(lines.length).toBeGreaterThan(15);
    expect(lines).toEqual(expect.arrayContaining(PUBLIC));
    for (const line of lines.filter((each) => !PUBLIC.includes(each))) {
      const attempts: WebRequest[] = [
        {},
        { headers: { authorization: 'Bearer wrong-but-long-enough' } },
        { headers: { cookie: 'holdfast-4110=x; next-auth.session-token=x' } },
        { headers: { 'x-middleware-subrequest': 'middleware:middleware:middleware:middleware:middleware' } },
      ];
      for (const attempt of attempts) {
        const request = { as: 'none', ...attempt, ...(!line.startsWith('GET') && { body: { rev: 1 } }) } as const;
        const answer = await rest.refused(urlOf(line), request);
        expect(answer, `${line} ${JSON.stringify(attempt)}`).toMatchObject({ status: 401, code: 'unauthorized' });
      }
    }
  });

  it('A3 refuses a foreign Host, a foreign Origin and another site, also with credentials', async () => {
    await rest.web.signIn();
    for (const line of await manifest()) {
      for (const headers of [
        { host: 'evil.test' },
        { host: `evil.test:${rest.web.config.webPort}` },
        { origin: 'https://evil.test' },
        { origin: 'null' },
        { origin: 'http://127.0.0.1:5173' },
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
      ]) {
        const answer = await rest.refused(urlOf(line), { as: 'cookie', headers });
        expect(answer, `${line} ${JSON.stringify(headers)}`).toMatchObject({ status: 403, code: 'forbidden' });
      }
    }
  });

  it('A3 a change by cookie needs an Origin', async () => {
    await rest.web.signIn();
    for (const line of (await manifest()).filter((each) => !each.startsWith('GET') && !PUBLIC.includes(each))) {
      const answer = await rest.refused(urlOf(line), { as: 'cookie', headers: { origin: null } });
      expect(answer, line).toMatchObject({ status: 403, code: 'forbidden' });
    }
  });

  it('R3 answers 405 to the other verbs, and 404 where there is no route', async () => {
    const lines = await manifest();
    for (const { url } of rest.web.routes) {
      for (const verb of VERBS.filter((each) => !lines.includes(`${each} ${url}`))) {
        const expected = url.includes('[...') ? { status: 404, code: 'not_found' } : { status: 405 };
        const answer = await rest.refused(`${verb} ${urlOf(url)}`, { headers: { 'x-http-method-override': 'GET' } });
        expect(answer, `${verb} ${url}`).toMatchObject(expected);
      }
    }
  });

  it('A3 sends no CORS headers', async () => {
    for (const { url } of rest.web.routes) {
      const headers = { origin: 'https://evil.test', 'access-control-request-method': 'POST' };
      const answer = await rest.web.call(`OPTIONS ${urlOf(url)}`, { as: 'none', headers });
      expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
    }
  });
});

describe('R3 queries of every route', () => {
  it('R3 an unknown field is refused by each, and one that is named twice', async () => {
    for (const line of await manifest()) {
      for (const query of ['surprise=1', 'end=true&end=false', '__proto__=1']) {
        const answer = await rest.refused(`${urlOf(line)}?${query}`, line.startsWith('GET') ? {} : { body: {} });
        expect(answer, `${line}?${query}`).toMatchObject({ status: 400, code: 'bad_request' });
        expect(answer.message, `${line}?${query}`).toContain('The query');
      }
    }
  });

  it.each(['end=', 'end=1', 'end=TRUE', 'end=true&x=1'])('R3 removing a project with ?%s is 400', async (query) => {
    const answer = await rest.refused(`DELETE /api/workspace/projects/${project.id}?${query}`);
    expect(answer).toMatchObject({ status: 400, code: 'bad_request' });
  });

  it.each([
    'output?from=1.5',
    'output?from=',
    'output?limit=0',
    'output?limit=1048577',
    'output?before=5',
    'history?before=-1',
    'history?limit=0',
    'history?limit=99999999',
    'history?from=5',
  ])('R3 a session’s %s is 400', async (path) => {
    const answer = await rest.refused(`GET /api/terminal/${session.id}/${path}`);
    expect(answer).toMatchObject({ status: 400, code: 'bad_request' });
  });
});

describe('R3 bodies of every route', () => {
  it('R3 wrong type, no JSON, too much and unknown fields are refused by each', async () => {
    const lines = (await manifest()).filter((line) => /^(POST|PATCH) /.test(line));
    const bad: [WebRequest, number][] = [
      [{ body: '{}', headers: { 'content-type': 'text/plain' } }, 415],
      [{ body: '{}', headers: { 'content-type': null } }, 415],
      [{ body: '{"rev":1', headers: {} }, 400],
      [{ body: '' }, 400],
      [{}, 415],
      [{ body: 'null' }, 400],
      [{ body: { rev: 1, admin: true } }, 400],
      [{ body: '{"rev":1,"__proto__":{"polluted":1}}' }, 400],
      [{ body: `{"rev":1,"x":"${'x'.repeat(70_000)}"}` }, 413],
    ];
    for (const line of lines) {
      for (const [request, status] of bad) {
        const answer = await rest.refused(urlOf(line), request);
        expect(answer.status, `${line} ${JSON.stringify(request).slice(0, 80)}`).toBe(status);
      }
    }
  });

  it('R3 fields that only the server sets are unknown', async () => {
    for (const field of [
      'userId',
      'id',
      'pid',
      'rev',
      'active',
      'output',
      'createdAt',
      'environment',
      'shell',
      'args',
    ]) {
      const body = rest.creation(project, { [field]: 'x' });
      const answer = await rest.refused('POST /api/terminal/create', { body });
      expect(answer, field).toMatchObject({
        status: 400,
        details: { issues: [{ message: expect.stringContaining(field) }] },
      });
    }
  });
});

describe('R3 values', () => {
  const BAD: [string, Record<string, unknown>][] = [
    ...[0, 1, -1, 1.5, 1001, 65_535, 65_536, 1e9, '80', null, {}].map((cols): [string, Record<string, unknown>] => [
      `cols ${JSON.stringify(cols)}`,
      { cols },
    ]),
    ...[0, 501, '24', 2.5].map((rows): [string, Record<string, unknown>] => [`rows ${JSON.stringify(rows)}`, { rows }]),
    ...['bash -c id', '__proto__', ['system'], null, 'SYSTEM', ''].map((type): [string, Record<string, unknown>] => [
      `type ${JSON.stringify(type)}`,
      { type },
    ]),
    ['an empty name', { tabName: '  ' }],
    ['a long name', { tabName: 'a'.repeat(65) }],
    ['a very long name', { tabName: 'a'.repeat(10_000) }],
    ['a name with control characters', { tabName: 'a\u001b]0;x' }],
    ['a name that turns the text around', { tabName: 'a\u202eb' }],
    ['a name with half a character', { tabName: 'a\ud800' }],
    ['a number as a name', { tabName: 1 }],
    ['a project id that is none', { projectId: '*' }],
    ['restore that is no boolean', { restore: 'yes' }],
  ];

  it.each(BAD)('R3 %s is 400 and named', async (_, change) => {
    const answer = await rest.refused('POST /api/terminal/create', { body: rest.creation(project, change) });
    expect(answer).toMatchObject({ status: 400, code: 'bad_request' });
    const [field = ''] = Object.keys(change);
    expect(answer.details['issues']).toContainEqual({ path: field, message: expect.any(String) });
    expect(answer.message).toContain(field);
  });

  it.each([
    '%00',
    '..%2flist',
    'a'.repeat(200),
    'session_1e3_abcdefgh',
    'session_١٧٠٠٠٠٠٠٠٠٠٠٠_abcdefgh',
    '*',
    'a:b',
    'session_1_*',
    'session_1700000000000_abcdefgh%0a',
    '__proto__',
  ])('R3 the id %s is 400', async (id) => {
    for (const line of [`GET /api/terminal/${id}`, `DELETE /api/terminal/${id}`, `GET /api/terminal/${id}/output`]) {
      expect((await rest.refused(line)).status).toBe(400);
    }
    expect((await rest.refused(`GET /api/workspace/projects/${id}`)).status).toBe(400);
  });

  it.each([
    'limit=-1',
    'limit=0',
    'limit=501',
    'limit=1e3',
    'limit=',
    'limit=5&limit=6',
    "cursor='; drop table",
    'cursor=',
    'projectId=*',
  ])('R3 the query %s is 400', async (query) => {
    expect(await rest.refused(`GET /api/terminal/list?${query}`)).toMatchObject({ status: 400, code: 'bad_request' });
  });

  it.each([
    { rev: 0 },
    { rev: '1' },
    {},
    { rev: 1, position: 1e10 },
    { rev: 1, position: null },
    { rev: 1, pinned: 1 },
  ])('R3 the change %j is 400', async (body) => {
    expect((await rest.refused(`PATCH /api/terminal/${session.id}`, { body })).status).toBe(400);
  });

  it('R3 a number that JavaScript cannot hold is 400', async () => {
    const body = JSON.stringify(rest.creation(project, { cols: 80 })).replace('80', '1e309');
    expect(await rest.refused('POST /api/terminal/create', { body })).toMatchObject({ status: 400 });
  });

  it('R3 a mode that is none is 400', async () => {
    const line = `POST /api/terminal/${session.id}/attach`;
    for (const mode of ['admin', '', null, 1]) expect((await rest.refused(line, { body: { mode } })).status).toBe(400);
  });
});

describe('R5 paths', () => {
  const inProject = (name: string) => join(project.path, name);
  const PATHS: [string, () => unknown, ErrorCode][] = [
    ['one that does not exist', () => inProject('nothing'), 'bad_request'],
    ['a file', () => inProject('file'), 'bad_request'],
    ['one below a file', () => inProject('file/x'), 'bad_request'],
    ['one outside the roots', () => '/etc', 'forbidden'],
    ['the root itself', () => '/', 'forbidden'],
    ['the way up', () => `${project.path}/../../../../etc`, 'forbidden'],
    ['/proc/self/cwd', () => '/proc/self/cwd', 'forbidden'],
    ['a link to outside', () => inProject('outside'), 'forbidden'],
    ['below a link to outside', () => inProject('outside/ssh'), 'forbidden'],
    ['a dangling link', () => inProject('dangling'), 'bad_request'],
    ['a link in circles', () => inProject('loop'), 'bad_request'],
    ['a relative one', () => '../../etc', 'bad_request'],
    ['one with an encoded way up', () => '..%2f..', 'bad_request'],
    ["somebody else's home", () => '~root', 'bad_request'],
    ['a drive', () => 'C:\\', 'bad_request'],
    ['a share', () => '\\\\server\\share', 'bad_request'],
    ['nothing', () => '', 'bad_request'],
    ['one with NUL', () => 'a\u0000b', 'bad_request'],
    ['one with a line end', () => `${project.path}\n`, 'bad_request'],
    ['5,000 characters', () => `/${'a'.repeat(5_000)}`, 'bad_request'],
    ['a name that is too long', () => `/${'a'.repeat(300)}`, 'bad_request'],
    ['a number', () => 5, 'bad_request'],
    ['a list', () => [project.path], 'bad_request'],
  ];

  it.each(PATHS)('R5 a project in %s is refused', async (_, path, code) => {
    const answer = await rest.refused('POST /api/workspace/projects', { body: { name: 'Bad', path: path() } });
    expect(answer.code).toBe(code);
    expect(answer.message.length).toBeGreaterThan(10);
  });

  it.each([
    ...PATHS,
    ['the parent', () => rest.home, 'forbidden'],
    ['a sibling', () => join(rest.home, 'other'), 'forbidden'],
    ['a sibling with the same beginning', () => `${project.path}-evil`, 'forbidden'],
    ['a link to a sibling', () => inProject('beside'), 'forbidden'],
  ] satisfies [string, () => unknown, ErrorCode][])('R5 a terminal in %s is refused', async (_, path, code) => {
    const body = rest.creation(project, { projectPath: path() });
    const answer = await rest.refused('POST /api/terminal/create', { body });
    expect(answer.code).toBe(code);
  });

  it('R5 a directory that is a project already is 409, also by another name', async () => {
    for (const path of [project.path, `${project.path}/`, `${project.path}/../${project.path.split('/').at(-1)}`]) {
      const answer = await rest.refused('POST /api/workspace/projects', { body: { name: 'Again', path } });
      expect(answer).toMatchObject({ status: 409, code: 'conflict' });
    }
  });
});
