export { copyOf } from './copy-of.js';
export { MalformedPayloadError, UnserializableValueError } from './errors.js';
export {
  jsonCodec,
  journalText,
  parseJournal,
  readReply,
  recordText,
  type PayloadCodec,
} from './json-codec.js';
export { assertAwaitable, assertReadable } from './plain-value.js';
