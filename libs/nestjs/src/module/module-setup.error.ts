import { SagazError } from '@sagaz/core';

/** `SagazModule` stands among the application's imports as it cannot be meant. */
export class ModuleSetupError extends SagazError {
  readonly code = 'SAGAZ_MODULE_SETUP';
}
