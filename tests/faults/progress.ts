/** The file of a long run: its seeds, and which pairs of case and seed have passed. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';

const schema = z.object({ seeds: z.array(z.number()), finished: z.array(z.string()) });

/** What a run has done so far. `save` keeps it for the next one. */
export type Progress = { seeds: number[]; finished: Set<string>; save(): void };

/**
 * Reads what an earlier run has left in a file, null for a run that keeps nothing.
 * @param seeds those of a run that begins; one that goes on keeps its own, and takes of these what it lacks
 */
export function readProgress(file: string | null, seeds: readonly number[]): Progress {
  const kept = file !== null && existsSync(file) ? schema.parse(JSON.parse(readFileSync(file, 'utf8'))) : null;
  const all = [...(kept?.seeds ?? []), ...seeds].slice(0, Math.max(seeds.length, kept?.seeds.length ?? 0));
  const finished = new Set(kept?.finished);
  return {
    seeds: all,
    finished,
    save() {
      if (file === null) return;
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(`${file}.new`, JSON.stringify({ seeds: all, finished: [...finished] }, null, 2));
      renameSync(`${file}.new`, file);
    },
  };
}
