/** Every fault case, in the order in which they run. */
import type { FaultCase } from '../case';
import { floodCases } from './flood';
import { gatewayCases } from './gateway';
import { hostCases } from './hosts';
import { memoryCases } from './memory';
import { networkCases } from './network';
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
].toSorted((a, b) => a.id.localeCompare(b.id));
