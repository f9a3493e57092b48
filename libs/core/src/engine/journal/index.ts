export { decodeEntry, encodeEntry } from './entry-codec.js';
export { errorRecord, type ErrorRecord } from '../../errors/index.js';
export { readJournal } from './read-journal.js';
export { taskKeyOf } from './idempotency-key.js';
export type {
  AttentionReason,
  Failure,
  Role,
  SagaEntry,
  TaskEntry,
  TaskRef,
  TraceHeaders,
} from './saga-entry.js';
export { UnreadableJournalError } from './unreadable-journal.error.js';
