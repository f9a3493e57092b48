export { SagazError, isSagazError } from './sagaz-error.js';
