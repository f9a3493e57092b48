export { SlotConsumer } from './slot-consumer.js';
export type { SlotConsumerOptions } from './slot-consumer-options.js';
export { DEFAULT_SLOT_SETTINGS, type SlotSettings } from './settings.js';
export type { SlotObserver } from './slot-observer.js';
export type { RowOutcome, SlotWork, TakenRow, WorkSource } from './slot-work.js';
export { handleEach, type HandleEachOptions } from './handle-each.js';
export { hintSlots } from './slot-hints.js';
export { compareSeq } from './seq.js';
export { Backoff } from './backoff.js';
