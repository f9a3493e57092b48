export { RandomTrial } from './random-trial.js';
export {
  describeFailure,
  runTrials,
  type RunTrialsOptions,
  type TrialFailure,
  type TrialsResult,
} from './run-trials.js';
export { pick, randomOf } from './seeded-random.js';
