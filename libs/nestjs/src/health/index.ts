export { SagazHealth } from './sagaz-health.js';
export { SagazHealthController } from './sagaz-health.controller.js';
export { SagazHealthModule } from './sagaz-health.module.js';
export {
  ManagementTooEarlyError,
  serveManagement,
  type Management,
  type ManagementOptions,
} from './serve-management.js';
