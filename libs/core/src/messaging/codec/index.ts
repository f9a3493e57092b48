export { MalformedPayloadError, UnserializableValueError } from './errors.js';
export { jsonCodec, journalText, parseJournal, type PayloadCodec } from './json-codec.js';
