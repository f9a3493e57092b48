export { replyTopicOf } from './command-message.js';
export { decide } from './decide.js';
export { sagaDueSince } from './due-since.js';
export type {
  Decision,
  PlannedStart,
  FreePermits,
  DecisionContext,
  Suspicion,
} from './decision.js';
export type { AttemptResult, SagaEvent, WaitRequest } from './saga-event.js';
export { MalformedReplyError } from './malformed-reply.error.js';
export {
  actorIn,
  controlMail,
  isKnownMail,
  lateMail,
  mailData,
  replyMail,
  undeliveredMail,
  untrustedMail,
} from './saga-mail.js';
export { answerTo, type OperatorRequest, type RequestAnswer } from './operator-request.js';
export { methodOf } from './task-result.js';
