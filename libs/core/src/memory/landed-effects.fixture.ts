import type { Transaction } from '../ports/index.js';
import type { LandingEffect, LandingEffects } from '../testing/index.js';
import { MemoryTable, type MemoryTransactions } from './index.js';

/** Effects of handlers in memory, which commit and roll back with their transactions. */
export function landedEffects(transactions: MemoryTransactions): LandingEffects {
  const seen = new MemoryTable<LandingEffect>();
  let written = 0;
  return {
    record: (effect: LandingEffect, transaction: Transaction) =>
      transactions.within(transaction, (own) => {
        written += 1;
        seen.set(String(written), effect, own);
      }),
    see: (group: string, key: string, transaction: Transaction) =>
      transactions.within(transaction, (own) =>
        seen
          .entries(own)
          .flatMap(([, effect]) =>
            effect.key === key && effect.group === group ? [effect.n] : [],
          ),
      ),
    recorded: (group) =>
      Promise.resolve(
        seen.entries().flatMap(([, effect]) => (effect.group === group ? [effect] : [])),
      ),
  };
}
