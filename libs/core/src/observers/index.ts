export { guarded } from './guarded.js';
export { guardedCall } from './guarded-call.js';
export { guardedLogger } from './guarded-logger.js';
export { guardedObserver } from './guarded-observer.js';
