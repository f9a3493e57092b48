export { StartFlusher, type StartFlusherOptions } from './start-flusher.js';
export { TransitionFlusher, type FlusherOptions } from './transition-flusher.js';
