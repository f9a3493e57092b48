export { SagazModule } from './sagaz.module.js';
