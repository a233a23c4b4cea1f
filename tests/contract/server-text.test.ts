/** Names and paths that would be commands if a shell ever read them: none does. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, test } from 'vitest';
import { projectAnswerSchema } from '@/lib/protocol/rest';
import { Rest } from '@/tests/harness/rest';

const HOSTILE = ['$(touch owned)', '`touch owned`', "'; touch owned; '", '"; touch owned; "', '| touch owned &', '-c'];
const UNPRINTABLE = ['a\nb', 'a\rb', '\x1b]0;owned\x07', 'a\u009b31mb', 'a\u2028b', 'a\u202eb', 'a\x00b', 'a\ud800b'];

let rest: Rest;
beforeAll(async () => {
  // An agent as the user's own command, so that names would meet the shell that starts it.
  rest = await Rest.start({ HOLDFAST_AGENT_COMMAND: 'echo agent-runs' });
}, 60_000);
afterAll(() => rest?.stop());

function everything(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' });
}

it.each(['system', 'claude'])('H15 a %s with hostile names and paths runs nothing of them', async (type) => {
  for (const [n, name] of HOSTILE.entries()) {
    // The path that is asked for is harmless; the real one, which the shell gets, holds a line end as well.
    const real = join(rest.home, `${type} ${n}\n${name.replaceAll('/', '')}`);
    const link = join(rest.home, `link-${type}-${n}`);
    mkdirSync(real);
    symlinkSync(real, link);
    const made = await rest.web.call('POST /api/workspace/projects', { body: { name, path: link } });
    const { project } = projectAnswerSchema.parse(made.json);
    expect(project).toMatchObject({ name, path: real });
    const opened = await rest.create({ ...project, path: link }, { type, tabName: name });
    expect(opened.session.tabName).toBe(name);
    const viewer = await rest.open(opened);
    if (type === 'system') {
      await viewer.line('test "$PWD" -ef . && echo ready-$((6*7))');
      await viewer.waitForText('ready-42');
      const { pid } = opened.session;
      const [command, environment] = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'));
      expect(command?.split('\0').filter(Boolean)).toEqual(['/bin/bash', '-l']);
      const naming = environment?.split('\0').filter((entry) => entry.includes(name));
      expect(naming).toEqual([`PWD=${real}`]);
    } else {
      await viewer.waitFor('the agent', () => shown(viewer).includes('agent-runs'));
    }
    viewer.terminate();
  }
  expect(everything(rest.home).filter((file) => file.endsWith('/owned') || file === 'owned')).toEqual([]);
});

function shown(viewer: { text: string; snapshots: { data: Uint8Array }[] }): string {
  return viewer.text + viewer.snapshots.map(({ data }) => Buffer.from(data).toString()).join('');
}

test('H15 names that steer a terminal are refused, and change nothing', async () => {
  const project = await rest.makeProject();
  const { session } = await rest.create(project);
  const before = await rest.fingerprint();
  for (const name of UNPRINTABLE) {
    const calls: [string, Record<string, unknown>][] = [
      ['POST /api/workspace/projects', { name, path: rest.home }],
      [`PATCH /api/workspace/projects/${project.id}`, { name, rev: project.rev }],
      ['POST /api/terminal/create', rest.creation(project, { tabName: name })],
      [`PATCH /api/terminal/${session.id}`, { tabName: name, rev: session.rev }],
    ];
    for (const [line, body] of calls) {
      expect(await rest.refused(line, { body }), `${line} ${JSON.stringify(name)}`).toMatchObject({ status: 400 });
    }
  }
  expect(await rest.fingerprint()).toEqual(before);
});

test('H15 a label that something else wrote at a host is adopted without what steers', async () => {
  const label = {
    owner: 'local',
    project: {
      id: 'project_1700000000000_aaaaaaaa',
      name: 'evil\x1b[2J\u202e',
      path: rest.home,
      pinned: false,
      archived: false,
      createdAt: 1,
      rev: 1,
    },
    tabName: `tab\n${'x'.repeat(2_000)}`,
    position: 1,
    pinned: false,
    path: rest.home,
    createdAt: 1,
    rev: 1,
  };
  const session = await rest.sidecar.openSession({ label });
  await expect
    .poll(async () => (await rest.web.call(`GET /api/workspace/projects/${label.project.id}/terminals`)).status)
    .toBe(200);
  expect((await rest.projects()).find(({ id }) => id === label.project.id)?.name).toBe('evil[2J');
  expect((await rest.read(session.id)).tabName).toBe(`tab${'x'.repeat(997)}`);
});
