import type { ContractCase } from '../contract-case.js';
import { appendCases } from './append-cases.js';
import { brokerCases } from './broker-cases.js';
import type { BrokerFixture } from './broker-fixture.js';
import { delayCases } from './delay-cases.js';
import { keyCases } from './key-cases.js';
import { leaseCases } from './lease-cases.js';
import { orderCases } from './order-cases.js';
import { outboxDeadLetterCases } from './outbox-dead-letter-cases.js';
import type { OutboxStoreFixture } from './outbox-fixture.js';
import { redeliveryCases } from './redelivery-cases.js';
import { rowCases } from './row-cases.js';
import type { SlotQueueFixture } from './slot-queue-fixture.js';

export type { BrokerFixture } from './broker-fixture.js';
export { outboxMessage, textsOf } from './outbox-message.js';
export { queueOf, type OutboxStoreFixture } from './outbox-fixture.js';
export type { SlotQueueFixture } from './slot-queue-fixture.js';

/** What every queue that is cut into slots must do. */
export const slotQueueContract: readonly ContractCase<SlotQueueFixture>[] = [
  ...leaseCases,
  ...rowCases,
];

/** What every outbox must do beyond being such a queue. */
export const outboxStoreContract: readonly ContractCase<OutboxStoreFixture>[] = [
  ...appendCases,
  ...keyCases,
  ...orderCases,
  ...delayCases,
  ...outboxDeadLetterCases,
];

/** What every broker must do. */
export const brokerContract: readonly ContractCase<BrokerFixture>[] = [
  ...brokerCases,
  ...redeliveryCases,
];
