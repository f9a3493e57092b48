import type { ContractCase } from '../contract-case.js';
import { appendCases } from './append-cases.js';
import { brokerCases } from './broker-cases.js';
import type { BrokerFixture } from './broker-fixture.js';
import { busyKeyCases } from './busy-key-cases.js';
import { delayCases } from './delay-cases.js';
import { extensionCases } from './extension-cases.js';
import { keyCases } from './key-cases.js';
import { leaseCases } from './lease-cases.js';
import { lockedCases } from './locked-cases.js';
import { orderCases } from './order-cases.js';
import { outboxDeadLetterCases } from './outbox-dead-letter-cases.js';
import type { OutboxStoreFixture } from './outbox-fixture.js';
import { redeliveryCases } from './redelivery-cases.js';
import { readBytesCases } from './read-bytes-cases.js';
import { retryCases } from './retry-cases.js';
import { rowCases } from './row-cases.js';
import type { SlotQueueFixture } from './slot-queue-fixture.js';
import { topicCases } from './topic-cases.js';
import { upkeepCases, type BrokerUpkeepFixture } from './upkeep-cases.js';

export type { BrokerFixture } from './broker-fixture.js';
export type { BrokerUpkeepFixture } from './upkeep-cases.js';
export { neighbourOf, outboxMessage, textOf, textsOf } from './outbox-message.js';
export { queueOf, type OutboxStoreFixture } from './outbox-fixture.js';
export type { RowLocks, SlotQueueFixture } from './slot-queue-fixture.js';

/** The contract of every queue that is divided into slots. */
export const slotQueueContract: readonly ContractCase<SlotQueueFixture>[] = [
  ...leaseCases,
  ...rowCases,
  ...readBytesCases,
  ...retryCases,
  ...busyKeyCases,
  ...topicCases,
  ...lockedCases,
];

/** The contract of every outbox, beyond that of such a queue. */
export const outboxStoreContract: readonly ContractCase<OutboxStoreFixture>[] = [
  ...appendCases,
  ...keyCases,
  ...orderCases,
  ...delayCases,
  ...outboxDeadLetterCases,
];

/** The contract of every broker. */
export const brokerContract: readonly ContractCase<BrokerFixture>[] = [
  ...brokerCases,
  ...redeliveryCases,
];

/** What every broker does beside publishing and delivering: topics, lag and health. */
export const brokerUpkeepContract: readonly ContractCase<BrokerUpkeepFixture>[] = upkeepCases;

/** Deliveries that have to be extended; for brokers that give a message away after a time. */
export const deliveryExtensionContract: readonly ContractCase<BrokerFixture>[] = extensionCases;
