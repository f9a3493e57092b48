import { isJsonContentType } from './content-type.js';
import { MalformedPayloadError } from './errors.js';
import type { AnyValueCodec } from './payload-codec.js';
import { assertPlain, KEPT, plainText, SENT, WRAPPED, type PlainRules } from './plain-value.js';

const decoder = new TextDecoder('utf-8', { fatal: true });
const JSON_TYPE = 'application/json';
const NOTHING = new Uint8Array(0);

/**
 * JSON in UTF-8. What is decoded equals what was encoded: values JSON would change are refused with
 * their path. `undefined` as a whole is a body of no bytes; an `undefined` property is left out,
 * which reads the same. NUL and lone surrogates in strings are kept, as JSON escapes. It reads every
 * content type of JSON, such as `application/vnd.acme.order+json`.
 */
export const jsonCodec = Object.freeze({
  contentType: JSON_TYPE,

  reads: isJsonContentType,

  /** @throws UnserializableValueError */
  encode(value: unknown): Uint8Array {
    if (value === undefined) return NOTHING;
    return Buffer.from(plainText(value, SENT));
  },

  /** @throws MalformedPayloadError */
  decode(payload: Uint8Array): unknown {
    if (payload.byteLength === 0) return undefined;
    try {
      return JSON.parse(decoder.decode(payload));
    } catch (error) {
      throw new MalformedPayloadError(JSON_TYPE, error);
    }
  },
}) satisfies AnyValueCodec;

/**
 * A saga's input or a step's result as the text of a journal entry: one line of JSON, in which NUL and
 * lone surrogates are escaped, since PostgreSQL's text can hold neither. `undefined` is null: no data.
 *
 * @throws UnserializableValueError, also for an instance of a class with methods
 */
export function journalText(value: unknown): string | null {
  return textOf(value, KEPT);
}

/** The same for a journal entry, a letter or the body of a reply, whose value was checked before. */
export function recordText(value: unknown): string | null {
  return textOf(value, WRAPPED);
}

function textOf(value: unknown, rules: PlainRules): string | null {
  return value === undefined ? null : plainText(value, rules);
}

/**
 * The value of a reply, whose sender may be written in another language: such JSON may hold numbers
 * that none of ours does. `-0` is read as 0.
 *
 * @throws UnserializableValueError, SyntaxError when the journal could not hold it
 */
export function readReply(text: string): unknown {
  const value: unknown = JSON.parse(text);
  try {
    assertPlain(value, WRAPPED);
    return value;
  } catch {
    const mended: unknown = JSON.parse(text, (_, member: unknown) => (member === 0 ? 0 : member));
    assertPlain(mended, WRAPPED);
    return mended;
  }
}

/** The value that {@link journalText} was given. */
export function parseJournal(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text);
}
