import { NonRetryableError, valueText } from '../../errors/index.js';

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

/** A value that the codec of its contract cannot encode. No attempt can change that. */
export class UnencodableValueError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNENCODABLE_VALUE';

  constructor(
    /** `The payload of 'order.confirmed'`. */
    readonly what: string,
    readonly contentType: string,
    problem: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(`${what} cannot be encoded as ${contentType}: ${problem}.`, {
      ...options,
      remedy: 'Give a value that the codec of the contract takes, or mend the codec.',
    });
  }
}

/**
 * A body whose content type the codec of the contract does not read. It is not decoded, because bytes of
 * another format could be read as a wrong value.
 */
export class UnexpectedContentTypeError extends NonRetryableError {
  override readonly code = 'SAGAZ_UNEXPECTED_CONTENT_TYPE';

  constructor(
    /** `The payload of 'order.confirmed'`. */
    readonly what: string,
    /** The content type of the message. */
    readonly contentType: string,
    /** The content type of the contract's codec. */
    readonly expected: string,
  ) {
    super(
      `${what} has the content type ${valueText(contentType)}, which the contract's codec for ${expected} does not read.`,
      {
        remedy:
          'Let its sender state the content type of what it sends, and give the contract a codec that reads it, the same on both sides.',
      },
    );
  }
}

/** Bytes that are not what their content type says. */
export class MalformedPayloadError extends NonRetryableError {
  override readonly code = 'SAGAZ_MALFORMED_PAYLOAD';

  constructor(
    /** The content type of the codec that could not read the bytes. */
    readonly contentType: string,
    cause: unknown,
  ) {
    super(`The payload is not valid ${contentType}.`, {
      cause,
      remedy: 'Let its sender send a body that is what its content type says.',
    });
  }
}
