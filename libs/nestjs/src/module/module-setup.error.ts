import { SagazError } from '@sagaz/core';

/** The application imports `SagazModule` in a wrong way: twice, or without `forRoot`. */
export class ModuleSetupError extends SagazError {
  readonly code = 'SAGAZ_MODULE_SETUP';
}
