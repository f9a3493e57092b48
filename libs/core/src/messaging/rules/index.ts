export {
  addressProblem,
  idempotencyKeyProblem,
  payloadProblem,
  startKeyProblem,
  type MessageProblem,
} from './message-problems.js';
export { HEADER_REMEDY, userHeaders, type MessageHeaders } from './user-headers.js';
export { indexText, textDigest, isIndexText, LONGEST_MESSAGE_ID } from './index-text.js';
export { checkKeys, keyTooLong, KeyTooLongError } from './key-too-long.error.js';
export { isLine } from './line.js';
export { topicNameProblem } from './topic-name-problem.js';
