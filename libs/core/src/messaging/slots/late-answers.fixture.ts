import type { SlotQueueStore } from '../../ports/index.js';

/**
 * Calls of a slot queue whose answers the random specs keep until the lease has run out. `renew` is
 * named twice, because without its answer a consumer loses its slots.
 */
export const ASKED: readonly (keyof SlotQueueStore)[] = [
  'renew',
  'renew',
  'acquire',
  'read',
  'complete',
  'change',
  'heldKeys',
  'readDueRetries',
  'passTopics',
  'passDueTopics',
  'noteSuspect',
  'probeFloor',
  'promote',
];
