/** The effective options. */
export const SAGAZ_OPTIONS = Symbol.for('sagaz.nestjs.options');
/** The {@link Logger} that Sagaz writes to. */
export const SAGAZ_LOGGER = Symbol.for('sagaz.nestjs.logger');
/** The `Clock` port. */
export const SAGAZ_CLOCK = Symbol.for('sagaz.nestjs.clock');
/** The broker; null: none is configured. */
export const SAGAZ_BROKER = Symbol.for('sagaz.nestjs.broker');
