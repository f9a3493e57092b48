import { NonRetryableError } from '../../errors/index.js';

/**
 * A value that JSON cannot hold unchanged. It is refused, because it would be read back as another
 * value.
 */
export class UnserializableValueError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNSERIALIZABLE_VALUE';

  constructor(
    /** The path of the value, from the root `$`: `$.lines[2].price`. */
    readonly path: string,
    /**
     * A description of the value: `NaN`, `a Map`, `a function`. If reading the value threw an error,
     * `cause` has it.
     */
    readonly found: string,
    remedy: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(`The value cannot be stored: ${path} is ${found}, which JSON does not hold unchanged.`, {
      ...options,
      remedy,
    });
  }
}

/** Bytes that are not JSON in UTF-8. */
export class MalformedPayloadError extends NonRetryableError {
  override readonly code = 'SAGAZ_MALFORMED_PAYLOAD';

  constructor(cause: unknown) {
    super('The payload is no JSON text in UTF-8.', {
      cause,
      remedy: 'Publish it with the content type application/json and a body that is JSON.',
    });
  }
}
