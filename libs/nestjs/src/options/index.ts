export { activeRoles } from './active-roles.js';
export { readDataSources } from './data-sources.js';
export { ENVIRONMENT } from './environment.js';
export { InvalidOptionsError, type OptionProblem } from './invalid-options.error.js';
export type { EffectiveOptions } from './options-schema.js';
export { describeOptions, migratesAtStart, readOptions } from './read-options.js';
export type {
  DataSourceOptions,
  EngineOptions,
  InboxOptions,
  KeepOptions,
  RelayOptions,
  RoleOptions,
  SagazModuleExtras,
  SagazOptions,
  SigningKey,
  SigningOptions,
} from './sagaz-options.js';
export { commandLineVariables, unknownVariables } from './unknown-variables.js';
