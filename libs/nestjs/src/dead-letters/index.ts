export {
  DeadLetters,
  type DeadLetter,
  type DeadLetterRef,
  type ListDeadLettersOptions,
} from './dead-letters.js';
