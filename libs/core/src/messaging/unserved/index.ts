export {
  unservedLanding,
  UnservedWatch,
  type UnservedSource,
  type UnservedWatchOptions,
} from './unserved-watch.js';
export { GroupExistsError, GroupInUseError, UnknownGroupError } from './group.errors.js';
