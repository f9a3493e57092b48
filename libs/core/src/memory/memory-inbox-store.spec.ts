import { describe, it } from 'vitest';
import { systemClock } from '../clock/index.js';
import type { Transaction } from '../ports/index.js';
import {
  inboxDeliveryContract,
  inboxStoreContract,
  landingTrialContract,
  runContract,
} from '../testing/index.js';
import { landedEffects } from './landed-effects.fixture.js';
import { MemoryInboxStore, MemoryTable, MemoryTransactions } from './index.js';

function fixture() {
  const transactions = new MemoryTransactions(systemClock);
  const store = { inbox: new MemoryInboxStore(transactions, systemClock), transactions };
  const table = new MemoryTable<string>();
  let written = 0;
  const effects = {
    record: (text: string, transaction: Transaction) =>
      transactions.within(transaction, (own) => {
        written += 1;
        table.set(String(written), text, own);
      }),
    recorded: () =>
      Promise.resolve(
        table
          .entries()
          .sort(([a], [b]) => Number(a) - Number(b))
          .map(([, text]) => text),
      ),
  };
  const landed = landedEffects(transactions);
  return Promise.resolve({ store, effects, landed, newStore: () => Promise.resolve(store) });
}

runContract('the inbox in memory', inboxStoreContract, fixture, { it, describe });
runContract('deliveries in memory', inboxDeliveryContract, fixture, { it, describe });
runContract('landing queues in memory', landingTrialContract, fixture, { it, describe });
