export { settledStart, type SettledStart } from './settled-start.js';
export { StartLimit } from './start-limit.js';
export { StartFlusher } from './start-flusher.js';
export { TransitionFlusher } from './transition-flusher.js';
