export { UnservedWatch, type UnservedSource, type UnservedWatchOptions } from './unserved-watch.js';
export { GroupInUseError, UnknownGroupError } from './group.errors.js';
