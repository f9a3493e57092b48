export { SagazModule } from './sagaz.module.js';
export { VersionMismatchError } from './version-check.js';
