export { futureBuild } from './future-build.js';
export type { VersionReport, VersionRequest, VersionPlan } from './protocol.js';
