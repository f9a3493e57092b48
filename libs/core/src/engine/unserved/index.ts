export { UnservedSagasWatch, type UnservedSagasWatchOptions } from './unserved-sagas-watch.js';
