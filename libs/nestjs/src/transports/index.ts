export { IdempotentSetupError, InvalidMessageIdError, MissingMessageIdError } from './errors.js';
export type { ForeignMessage } from './foreign-message.js';
export { Idempotent } from './idempotent.decorator.js';
export type { IdempotentOptions } from './idempotent-metadata.js';
export { IdempotentMethods } from './idempotent-methods.js';
export { IdempotentRefusals } from './idempotent-refusals.js';
