export { MemoryLocks, type LockHolder, type LockMode } from './memory-locks.js';
export { MemoryTable } from './memory-table.js';
export { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';
