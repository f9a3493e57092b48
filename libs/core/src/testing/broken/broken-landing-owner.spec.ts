import { expect, it } from 'vitest';
import { systemClock } from '../../clock/index.js';
import { MemoryInboxStore, MemoryTable, MemoryTransactions } from '../../memory/index.js';
import type { Transaction } from '../../ports/index.js';
import { LandingTrial, type LandingEffect } from '../landing/index.js';

function fixture() {
  const transactions = new MemoryTransactions(systemClock);
  const store = { inbox: new MemoryInboxStore(transactions, systemClock), transactions };
  const seen = new MemoryTable<LandingEffect>();
  let written = 0;
  const landed = {
    record: (effect: LandingEffect, transaction: Transaction) =>
      transactions.within(transaction, (own) => {
        written += 1;
        seen.set(String(written), effect, own);
      }),
    see: (_group: string, key: string, transaction: Transaction) =>
      transactions.within(transaction, (own) =>
        seen.entries(own).flatMap(([, effect]) => (effect.key === key ? [effect.n] : [])),
      ),
    recorded: () => Promise.resolve(seen.entries().map(([, effect]) => effect)),
  };
  return { store, landed, newStore: () => Promise.resolve(store) };
}

it('a trial catches an owner that sends the next message of a key without the answer about the one before it', async () => {
  const broken: string[] = [];
  for (let seed = 1; seed <= 6 && broken.length === 0; seed += 1) {
    const trial = new LandingTrial(fixture(), { seed, unanswered: true });
    await trial.run().catch((error: unknown) => broken.push(String(error)));
  }
  expect(broken.join()).toMatch(/did not see/);
}, 60_000);
