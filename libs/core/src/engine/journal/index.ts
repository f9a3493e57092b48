export { decodeEntry, encodeEntry } from './entry-codec.js';
export { formatOf } from './entry-format.js';
export { errorRecord, type ErrorRecord } from '../../errors/index.js';
export { readJournal } from './read-journal.js';
export { taskKeyOf } from './idempotency-key.js';
export { TaskMap } from './task-map.js';
export {
  isRole,
  ROLES,
  stepTask,
  taskRef,
  taskText,
  type AttentionReason,
  type Awaited,
  type Failure,
  type IgnoredReply,
  type Role,
  type SagaEntry,
  type TaskEntry,
  type TaskRef,
  type TraceHeaders,
  type WholeEntry,
} from './saga-entry.js';
export { outputIn, StoredOutput } from './stored-output.js';
export { UnreadableJournalError } from './unreadable-journal.error.js';
