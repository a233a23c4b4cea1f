import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLog } from '@/lib/log';
import { newId } from '@/lib/protocol/ids';
import { EXIT, journalsPerTest, meta } from '@/tests/harness/journals';
import { Archive } from './archive';
import { describeWriter, lossOf } from './host-facts';
import { listSegments } from './journal-files';
import type { Meta } from './journal-format';

const journals = journalsPerTest();

describe('the archive', () => {
  const archive = (change: { keptMs?: number } = {}) =>
    new Archive({ directory: journals.directory(), keptMs: 1_000_000, log: createLog('host', 'error'), ...change });
  const gone = { ...describeWriter('gone'), pid: 2, startTime: 'never' };

  async function journalled(facts: Meta, isEnded: boolean): Promise<string> {
    const { journal, output, id } = journals.recorded({ id: facts.id, facts });
    output.append(Buffer.from('last words'));
    await (isEnded ? journal.end(EXIT) : journal.flush());
    return id;
  }

  it('J7 lists sessions that ended, and those whose host is gone with the reason, and none that lives', async () => {
    const ended = await journalled(meta(), true);
    const crashed = await journalled(meta({ writer: gone }), false);
    const rebooted = await journalled(meta({ writer: { ...gone, bootId: 'another' } }), false);
    await journalled(meta(), false);
    mkdirSync(join(journals.directory(), newId('session'), '1.1.0.00000001.log'), { recursive: true }); // not readable as a file
    const listed = new Map((await archive().list()).map(({ id, exit }) => [id, exit]));
    expect([...listed.keys()].sort()).toEqual([ended, crashed, rebooted].sort());
    expect(listed.get(ended)).toEqual(EXIT.exit);
    expect(listed.get(crashed)).toMatchObject({ code: -1, reason: 'host-crash' });
    expect(listed.get(rebooted)).toMatchObject({ code: -1, reason: 'reboot' });
    expect((await archive().open(crashed, 1)).rebuilt.lines).toEqual(['last words']);
    await expect(archive().open(crashed, 2)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('J7 a kill for memory is told from others by the count of the kernel', () => {
    const file = join(journals.directory(), 'memory.events');
    writeFileSync(file, 'low 0\noom 1\noom_kill 4\n');
    expect(lossOf({ ...gone, oomKills: { file, count: 3 } }, 0).reason).toBe('oom');
    expect(lossOf({ ...gone, oomKills: { file, count: 4 } }, 0).reason).toBe('host-crash');
    expect(lossOf({ ...gone, oomKills: { file: `${file}.gone`, count: 3 } }, 0).reason).toBe('host-crash');
  });

  it('J8 removes journals that are too old or too many, oldest first, and none of a session that lives', async () => {
    const ids = [meta(), meta({ writer: gone }), meta(), meta()];
    const [old = '', lost = '', newer = '', living = ''] = await Promise.all(
      ids.map((facts, n) => journalled(facts, n % 2 === 0)),
    );
    const age = async (id: string, seconds: number) => {
      for (const { path } of await listSegments(join(journals.directory(), id)))
        utimesSync(path, 0, Date.now() / 1_000 - seconds);
    };
    await age(old, 2_000);
    await age(living, 3_000);
    await age(lost, 500);
    await archive().sweep();
    expect(readdirSync(journals.directory()).sort()).toEqual([lost, newer, living].sort());
    const left = await Promise.all([lost, newer, living].map((id) => listSegments(join(journals.directory(), id))));
    const bytes = left.flat().reduce((sum, { path }) => sum + statSync(path).size, 0);
    await archive().sweep(Date.now(), bytes - 1);
    expect(readdirSync(journals.directory()).sort()).toEqual([newer, living].sort());
    await archive().forget(newer);
    expect(readdirSync(journals.directory())).toEqual([living]);
  });

  it('J8 one that cannot be removed keeps no other', async () => {
    const ids = [meta(), meta(), meta()].map(({ id }) => id).sort();
    for (const id of ids) await journalled(meta({ id }), true);
    const [stuck = ''] = ids;
    const odd = join(journals.directory(), stuck, '1.9.0.00000001.log');
    mkdirSync(odd); // not readable as a file
    const paths = await Promise.all(ids.map((id) => listSegments(join(journals.directory(), id))));
    for (const { path } of paths.flat()) utimesSync(path, 0, path.includes(stuck) ? 1 : 2);
    await archive().sweep();
    expect(readdirSync(journals.directory())).toEqual([stuck]);
  });
});
