export { RandomTrial } from './random-trial.js';
export { randomOf } from './seeded-random.js';
