/** The options as they were given, before environment and defaults. */
export const GIVEN_OPTIONS = Symbol.for('sagaz.nestjs.given-options');
/** Stands in the module that `forRoot` has made, and in no other. */
export const CONFIGURED = Symbol.for('sagaz.nestjs.configured');
