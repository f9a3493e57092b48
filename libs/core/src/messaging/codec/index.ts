export { copyOf } from './copy-of.js';
export { mediaTypeOf } from './content-type.js';
export {
  MalformedPayloadError,
  UnencodableValueError,
  UnexpectedContentTypeError,
  UnserializableValueError,
} from './errors.js';
export { jsonCodec, journalText, parseJournal, readReply, recordText } from './json-codec.js';
export {
  decodeBody,
  encodeBody,
  readsContentType,
  type AnyValueCodec,
  type Body,
  type CodecFor,
  type PayloadCodec,
  type PayloadDescription,
} from './payload-codec.js';
export { assertAwaitable, assertReadable } from './plain-value.js';
