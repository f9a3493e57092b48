export { checkSaga, isSettled, type SagaEvidence } from './invariants.js';
export { Outside, type OutsideParts } from './outside.js';
export { RandomTrial } from './random-trial.js';
export {
  describeFailure,
  runTrials,
  type RunTrialsOptions,
  type TrialFailure,
  type TrialsResult,
} from './run-trials.js';
export { pick, randomOf } from './seeded-random.js';
export { keyOf, programOf, type TrialWorld } from './trial-programs.js';
export { describeTrial, planTrial, type OperatorAct, type TrialPlan } from './trial-plan.js';
