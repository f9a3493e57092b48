export { InboxProcessor } from './inbox-processor.js';
export { InboxAttempt, type AttemptResult } from './inbox-attempt.js';
export type {
  BurialReason,
  HandledDelivery,
  InboxEvent,
  InboxHandler,
  InboxObserver,
  InboxOutcome,
  InboxProcessorOptions,
  InboxUnit,
  MessageRole,
} from './inbox.types.js';
export { checkedReply } from './checked-reply.js';
export { rerunningConflicts } from './failure.js';
export { landedForm, landedPart, lineOf, originalOf } from './landed-form.js';
export { inboxKeyOf, roleOf } from './message-role.js';
export {
  REPLY_TYPE,
  failureReply,
  negativeReply,
  replyMessage,
  type NegativeReply,
} from './reply.js';
export { SoloGate, type SoloTimes } from './solo-gate.js';
export { storeUnit } from './store-unit.js';
export { timeLimitsOf, type TimeLimits } from './time-limits.js';
export {
  HandlerCrashedError,
  HandlerNotReachedError,
  HeldKeyError,
  InboxBusyError,
  LandedRowLostError,
  NoConnectionError,
  StaleSnapshotError,
  MalformedCommandError,
  UnsendableReplyError,
} from './errors.js';
