import type { ContractCase } from '../contract-case.js';
import { leaseCases } from './lease-cases.js';
import { rowCases } from './row-cases.js';
import type { SlotQueueFixture } from './slot-queue-fixture.js';

export { outboxMessage, textsOf } from './outbox-message.js';
export type { SlotQueueFixture } from './slot-queue-fixture.js';

/** What every queue that is cut into slots must do. */
export const slotQueueContract: readonly ContractCase<SlotQueueFixture>[] = [
  ...leaseCases,
  ...rowCases,
];
