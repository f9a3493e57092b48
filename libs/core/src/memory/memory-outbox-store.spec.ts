import { describe, it } from 'vitest';
import { runContract, slotQueueContract, VirtualClock } from '../testing/index.js';
import { MemoryOutboxStore, MemoryTransactions } from './index.js';

async function fixture() {
  const clock = new VirtualClock();
  const transactions = new MemoryTransactions(clock);
  const outbox = new MemoryOutboxStore({ transactions, clock });
  return {
    queue: outbox,
    newQueue: () => Promise.resolve(outbox),
    add: outbox.append.bind(outbox),
    transactions,
    pass: (ms: number) => clock.advance(ms),
  };
}

runContract('the slots of the outbox in memory', slotQueueContract, fixture, { it, describe });
