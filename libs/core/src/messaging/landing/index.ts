export { hintLanded } from './hint-landed.js';
export { retireGroup, type RetireOptions } from './retire-group.js';
export { LandingWorker, type LandingWorkerOptions } from './landing-worker.js';
export {
  crossedBounds,
  DEFAULT_LANDING_BOUNDS,
  MOST_LANDED,
  type LandingBounds,
} from './landing-bounds.js';
export { LandingGate, type LandingGateOptions, type LandingState } from './landing-gate.js';
