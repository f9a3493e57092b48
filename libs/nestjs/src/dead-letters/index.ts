export {
  type DeadLetterLeft,
  type DeadLetterLeftReason,
  type DeadLetterRef,
  type DeadLetterReport,
} from './dead-letter-report.js';
export { DeadLetters, type DeadLetter, type ListDeadLettersOptions } from './dead-letters.js';
