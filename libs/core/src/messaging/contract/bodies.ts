import { decodeBody, encodeBody, type Body } from '../codec/index.js';
import { HEADERS } from '../../ports/index.js';
import type { MessageContract } from './message-contract.js';

/** The body of a message, with the headers that say what it is. */
export interface EncodedPayload {
  readonly payload: Uint8Array;
  readonly contentType: string;
  /** `ce_dataschema`, if the contract names a schema. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Encodes a payload with the codec of its contract.
 *
 * @throws UnserializableValueError, UnencodableValueError
 */
export function encodePayload<Payload>(
  { type, codec, dataSchema }: MessageContract<Payload>,
  payload: Payload,
): EncodedPayload {
  return {
    payload: encodeBody(codec, payload, `The payload of '${type}'`),
    contentType: codec.contentType,
    headers: dataSchema === null ? {} : { [HEADERS.dataSchema]: dataSchema },
  };
}

/**
 * Decodes the body of a message with the codec of its contract. It does not ask the contract's schema.
 *
 * @throws UnexpectedContentTypeError, MalformedPayloadError
 */
export function decodePayload({ type, codec }: MessageContract, body: Body): unknown {
  return decodeBody(codec, body, `The payload of '${type}'`);
}
