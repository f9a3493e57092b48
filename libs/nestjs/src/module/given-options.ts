/** The options as they were given, before environment and defaults. */
export const GIVEN_OPTIONS = Symbol.for('sagaz.nestjs.given-options');
