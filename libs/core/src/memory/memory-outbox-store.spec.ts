import { describe, it } from 'vitest';
import type { NewMail } from '../ports/index.js';
import {
  outboxStoreContract,
  queueOf,
  runContract,
  slotQueueContract,
  VirtualClock,
  type OutboxStoreFixture,
} from '../testing/index.js';
import { MemoryOutboxStore, MemoryTransactions } from './index.js';

async function fixture(): Promise<OutboxStoreFixture> {
  const clock = new VirtualClock();
  const transactions = new MemoryTransactions(clock);
  const mail: NewMail[] = [];
  const outbox = new MemoryOutboxStore({
    transactions,
    clock,
    putMail: async (added) => void mail.push(...added),
  });
  return {
    outbox,
    newOutbox: () => Promise.resolve(outbox),
    transactions,
    pass: (ms) => clock.advance(ms),
    lockRow: outbox.lockRow.bind(outbox),
    lockLease: outbox.lockLease.bind(outbox),
    mailOf: async (sagaId) => mail.filter((letter) => letter.sagaId === sagaId),
  };
}

const runner = { it, describe };

runContract('the outbox in memory', outboxStoreContract, fixture, runner);
runContract(
  'the slots of the outbox in memory',
  slotQueueContract,
  async () => queueOf(await fixture()),
  runner,
);
