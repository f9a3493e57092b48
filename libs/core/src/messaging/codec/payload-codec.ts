import { NonRetryableError, errorText, isSagazError } from '../../errors/index.js';
import { HEADERS, type Message } from '../../ports/index.js';
import { sameMediaType } from './content-type.js';
import {
  MalformedPayloadError,
  UnencodableValueError,
  UnexpectedContentTypeError,
} from './errors.js';

/** The attributes of a message that describe its body. */
export interface PayloadDescription {
  readonly contentType: string;
  /** The schema of the body, as its sender names it (CloudEvents `dataschema`); null: it names none. */
  readonly dataSchema: string | null;
}

/**
 * Turns the values of a contract into the bytes of a payload, and back without changing them. Both
 * directions are synchronous, because a message is fixed at the moment at which it is published; a codec
 * that needs a schema from elsewhere loads it before the application starts.
 */
export interface PayloadCodec<Value = unknown> {
  /** The content type of the bytes that `encode` returns: `application/json`. */
  readonly contentType: string;
  /**
   * Whether `decode` reads bodies of a content type. Default: those with the media type of `contentType`,
   * compared without its parameters and without regard to case.
   */
  reads?(contentType: string): boolean;
  /** Throws for a value that the format does not hold unchanged. */
  encode(value: Value): Uint8Array;
  /** Throws for bytes that are not of the format. Called only for content types that it reads. */
  decode(payload: Uint8Array, description: PayloadDescription): Value;
}

/** A codec that takes every value which its format can hold, as JSON does. */
export interface AnyValueCodec {
  /** The content type of the bytes that `encode` returns: `application/json`. */
  readonly contentType: string;
  /** Whether `decode` reads bodies of a content type. Default: as for {@link PayloadCodec}. */
  reads?(contentType: string): boolean;
  /**
   * Throws for a value that the format does not hold unchanged. A property and no method, so that the
   * compiler refuses a codec of one type where any value goes.
   */
  readonly encode: (value: unknown) => Uint8Array;
  /** Throws for bytes that are not of the format. Called only for content types that it reads. */
  decode(payload: Uint8Array, description: PayloadDescription): unknown;
}

/** The codecs that fit a contract: one for values of its type, or one for every value. */
export type CodecFor<Value> = PayloadCodec<Value> | AnyValueCodec;

/** The parts of a message that say what its body is. */
export type Body = Pick<Message, 'contentType' | 'payload' | 'headers'>;

/** Whether the codec reads bodies of the content type. */
export function readsContentType(codec: PayloadCodec, contentType: string): boolean {
  return codec.reads?.(contentType) ?? sameMediaType(codec.contentType, contentType);
}

/**
 * Encodes a value. `what` names it in errors: `The payload of 'order.confirmed'`.
 *
 * @throws UnserializableValueError, UnencodableValueError; another attempt could not encode it either
 */
export function encodeBody(codec: PayloadCodec, value: unknown, what: string): Uint8Array {
  let bytes: unknown;
  try {
    bytes = codec.encode(value);
  } catch (error) {
    if (error instanceof NonRetryableError && isSagazError(error)) throw error;
    throw new UnencodableValueError(what, codec.contentType, errorText(error), { cause: error });
  }
  if (bytes instanceof Uint8Array) return bytes;
  throw new UnencodableValueError(what, codec.contentType, 'its codec returned no Uint8Array');
}

/**
 * Decodes the body of a message, if the codec reads its content type: bytes of another format could be
 * read as a wrong value.
 *
 * @throws UnexpectedContentTypeError, MalformedPayloadError
 */
export function decodeBody(
  codec: PayloadCodec,
  { contentType, payload, headers }: Body,
  what: string,
): unknown {
  if (!readsContentType(codec, contentType)) {
    throw new UnexpectedContentTypeError(what, contentType, codec.contentType);
  }
  try {
    return codec.decode(payload, { contentType, dataSchema: headers[HEADERS.dataSchema] ?? null });
  } catch (error) {
    if (error instanceof MalformedPayloadError) throw error;
    throw new MalformedPayloadError(codec.contentType, error);
  }
}
