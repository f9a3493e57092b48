export { MemoryLocks, type LockHolder, type LockMode } from './memory-locks.js';
export { MemoryTable } from './memory-table.js';
export { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';
export { MemoryInboxStore } from './memory-inbox-store.js';
export { MemoryEngineRegistry } from './memory-engine-registry.js';
export { MemorySagaStore, type MemorySagaStoreParts } from './memory-saga-store.js';
export { MemoryOutboxStore, type MemoryOutboxStoreParts } from './memory-outbox-store.js';
export { MemorySlotQueue, type MemorySlotQueueParts } from './memory-slot-queue.js';
export { MemoryWakeUps } from './memory-wake-ups.js';
