export { LandingWorker, type LandingWorkerOptions } from './landing-worker.js';
