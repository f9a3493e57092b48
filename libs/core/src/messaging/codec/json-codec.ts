import { MalformedPayloadError } from './errors.js';
import { assertPlain } from './plain-value.js';

/** Turns values into the bytes of a payload and back, without changing them. */
export interface PayloadCodec {
  readonly contentType: string;
  /** @throws UnserializableValueError */
  encode(value: unknown): Uint8Array;
  /** @throws MalformedPayloadError */
  decode(payload: Uint8Array): unknown;
}

const decoder = new TextDecoder('utf-8', { fatal: true });
const NOTHING = new Uint8Array(0);

/**
 * JSON in UTF-8. What is decoded equals what was encoded: values JSON would change are refused with
 * their path. `undefined` as a whole is a body of no bytes; an `undefined` property is left out,
 * which reads the same. NUL and lone surrogates in strings are kept, as JSON escapes.
 */
export const jsonCodec: PayloadCodec = Object.freeze({
  contentType: 'application/json',

  encode(value: unknown): Uint8Array {
    if (value === undefined) return NOTHING;
    assertPlain(value);
    return Buffer.from(JSON.stringify(value));
  },

  decode(payload: Uint8Array): unknown {
    if (payload.byteLength === 0) return undefined;
    try {
      return JSON.parse(decoder.decode(payload));
    } catch (error) {
      throw new MalformedPayloadError(error);
    }
  },
});

/**
 * A value as the text of a journal entry or mail: one line of JSON, in which NUL and lone surrogates
 * are escaped, since PostgreSQL's text can hold neither. `undefined` is null: no data.
 *
 * @throws UnserializableValueError
 */
export function journalText(value: unknown): string | null {
  if (value === undefined) return null;
  assertPlain(value);
  return JSON.stringify(value);
}

/** What {@link journalText} was given. */
export function parseJournal(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text);
}
