import type { ContractCase } from '../contract-case.js';
import { landingOutageCases } from './landing-outage.js';
import { LandingTrial, type LandingTrialFixture } from './landing-trial.js';

export {
  LandingTrial,
  type LandingEffect,
  type LandingEffects,
  type LandingTrialFixture,
  type LandingTrialOptions,
  type LandingTrialResult,
} from './landing-trial.js';
export { disturbed, type Disturbance } from './disturbed-inbox.js';
export { PartitionedLog, PartitionOwner, type LogConsumer } from './partitioned-log.js';

const SEEDS = [1, 2, 3, 4];

const trials: readonly ContractCase<LandingTrialFixture>[] = SEEDS.map((seed) => ({
  name: `whatever befalls owners and workers, landed messages have their effects once and in order (seed ${String(seed)})`,
  guards:
    'Every effect once, every lower number of the key seen, no two handlers of a key at once, nothing left over.',
  run: async (fixture) => {
    await new LandingTrial(fixture, { seed }).run();
  },
}));

/** The landing queue over a partitioned log: random trials, short ones, and an outage. */
export const landingTrialContract: readonly ContractCase<LandingTrialFixture>[] = [
  ...trials,
  ...landingOutageCases,
];
