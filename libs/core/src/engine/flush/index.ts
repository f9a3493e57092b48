export { StartFlusher } from './start-flusher.js';
export { TransitionFlusher } from './transition-flusher.js';
