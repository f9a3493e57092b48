export { SagazExceptionFilter } from './sagaz-exception.filter.js';
