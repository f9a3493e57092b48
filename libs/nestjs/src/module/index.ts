export { ModuleSetupError } from './module-setup.error.js';
export { SagazCoreModule } from './sagaz-core.module.js';
export { SagazModule } from './sagaz.module.js';
export { VersionMismatchError } from './version-check.js';
