/** Every fault case, group by group, in the order in which they run. */
import type { FaultCase } from '../case';
import { cacheCases } from './cache';
import { databaseCases } from './database';
import { floodCases } from './flood';
import { gatewayCases } from './gateway';
import { hostCases } from './hosts';
import { memoryCases } from './memory';
import { networkCases } from './network';
import { outboxCases } from './outbox';
import { outsideCases } from './outside';
import { resourceCases } from './resources';
import { storageCases } from './storage';

export const CASES: readonly FaultCase[] = [
  ...gatewayCases,
  ...hostCases,
  ...networkCases,
  ...resourceCases,
  ...outsideCases,
  ...floodCases,
  ...storageCases,
  ...memoryCases,
  ...databaseCases,
  ...cacheCases,
  ...outboxCases,
].toSorted((a, b) => a.group.localeCompare(b.group) || a.id.localeCompare(b.id));
