import { describe, it } from 'vitest';
import { systemClock } from '../clock/index.js';
import type { Message, NewMail } from '../ports/index.js';
import {
  brokerContract,
  outboxStoreContract,
  queueOf,
  runContract,
  slotQueueContract,
  VirtualClock,
  type OutboxStoreFixture,
} from '../testing/index.js';
import { MemoryBroker, MemoryOutboxStore, MemoryTransactions } from './index.js';

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
runContract(
  'the broker in memory',
  brokerContract,
  async () => {
    const broker = new MemoryBroker({ clock: systemClock });
    broker.failWith(({ type }) =>
      type === 'poison' ? { kind: 'rejected', error: new Error('poison') } : null,
    );
    return {
      broker,
      newBroker: () => Promise.resolve(broker),
      poison: (message: Message) => ({ ...message, type: 'poison' }),
    };
  },
  runner,
);
