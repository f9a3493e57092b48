export { bytes, messageArrays, slotsOf } from './message-arrays.js';
export { PgSlotQueue } from './pg-slot-queue.js';
export type { MailInsert } from './slot-changes.js';
export {
  MESSAGE_COLUMNS,
  queuedMessage,
  SlotNames,
  type MessageRow,
  type SlotConnection,
  type SlotTable,
} from './slot-table.js';
