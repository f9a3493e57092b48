export {
  keyLockRows,
  keyLockSource,
  keyLockValues,
  KEYS_LOCKED_ONE_BY_ONE,
  TAKE_KEY_LOCK,
  TRY_KEY_LOCK,
  type KeyLockRow,
} from './key-locks.js';
export { DEFAULT_QUEUE } from './default-queue.js';
export { outboxInsert, outboxInsertValues } from './outbox-columns.js';
export { PgOutboxStore } from './pg-outbox-store.js';
export { OutboxDeadLetters } from './dead-letters.js';
export { Promotion } from './promotion.js';
