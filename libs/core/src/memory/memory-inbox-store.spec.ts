import { describe, it } from 'vitest';
import { systemClock } from '../clock/index.js';
import { inboxStoreContract, runContract } from '../testing/index.js';
import { MemoryInboxStore, MemoryTransactions } from './index.js';

runContract(
  'the inbox in memory',
  inboxStoreContract,
  () => {
    const transactions = new MemoryTransactions(systemClock);
    const store = { inbox: new MemoryInboxStore(transactions, systemClock), transactions };
    return Promise.resolve({ store, newStore: () => Promise.resolve(store) });
  },
  { it, describe },
);
