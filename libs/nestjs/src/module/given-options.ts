/** The options as they were given, before environment and defaults. */
export const GIVEN_OPTIONS = Symbol.for('sagaz.nestjs.given-options');
/** A provider that only a module made by `forRoot` has. */
export const CONFIGURED = Symbol.for('sagaz.nestjs.configured');
