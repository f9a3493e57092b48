export { SagazMetricsModule } from './sagaz-metrics.module.js';
