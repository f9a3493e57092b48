export { replyTopicOf } from './command-message.js';
export { decide } from './decide.js';
export type { Decision, PlannedStart, Room, Surroundings, Suspicion } from './decision.js';
export type { AttemptResult, Happening } from './happening.js';
export { MalformedReplyError } from './malformed-reply.error.js';
export {
  controlMail,
  isKnownMail,
  lateMail,
  letterOf,
  MAIL_KINDS,
  replyMail,
  undeliveredMail,
  untrustedMail,
} from './saga-mail.js';
export { answerTo, type OperatorRequest, type RequestAnswer } from './operator-request.js';
export { methodOf } from './task-result.js';
