export { SagazHealth } from './sagaz-health.js';
export { SagazHealthController } from './sagaz-health.controller.js';
export { SagazHealthModule } from './sagaz-health.module.js';
