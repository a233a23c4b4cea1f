/** What of a session would survive what, in words. */
import type { Durability } from '@/lib/protocol/rest';

/** From nothing to everything: ephemeral, over a restart of web, over an upgrade of the sidecar, record and output restorable. */
export type DurabilityLevel = 'L0' | 'L1' | 'L2' | 'L3';

/** `isNormal` when there is nothing to point out. */
export type Survival = {
  level: DurabilityLevel;
  /** Where the record is. */
  place: 'store' | 'outbox' | 'memory';
  word: string;
  text: string;
  isNormal: boolean;
};

const STORED: Survival = {
  level: 'L3',
  place: 'store',
  word: 'Stored',
  text: 'Survives restarts and upgrades of Holdfast. After a restart of the machine the tab is back with its output, to be started again.',
  isNormal: true,
};
const OUTBOX: Survival = {
  level: 'L2',
  place: 'outbox',
  word: 'Written to the outbox',
  text: 'Reaches the database when it is back. Until then it survives restarts and upgrades of Holdfast on this machine.',
  isNormal: false,
};
const MEMORY: Survival = {
  level: 'L2',
  place: 'memory',
  word: 'Kept in memory',
  text: 'Survives a restart of web and an upgrade of the sidecar. A restart of the machine leaves at most its last output.',
  isNormal: false,
};
const EPHEMERAL: Survival = {
  level: 'L0',
  place: 'memory',
  word: 'Ephemeral',
  text: 'Nothing of it is written, and it ends when Holdfast is stopped.',
  isNormal: false,
};

/** What is promised for a session; in an ephemeral Holdfast it is the least, wherever its record is. */
export function survivalOf(durability: Durability, isEphemeral: boolean): Survival {
  if (isEphemeral) return EPHEMERAL;
  switch (durability) {
    case 'stored':
      return STORED;
    case 'outbox':
      return OUTBOX;
    case 'memory':
      return MEMORY;
  }
}
