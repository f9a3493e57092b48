export { checkPrivileges } from './check-privileges.js';
export { MissingPrivilegesError } from './privileges.error.js';
