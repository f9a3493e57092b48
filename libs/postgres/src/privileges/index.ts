export { checkPrivileges } from './check-privileges.js';
export { grantStatement } from './grant-statement.js';
export {
  callOf,
  sequence,
  STORE_NEEDS,
  table,
  together,
  TO_BEGIN,
  UNSERVED_NEEDS,
  type Needed,
} from './privilege-list.js';
export { MissingPrivilegesError } from './privileges.error.js';
