import { setTimeout as sleep } from 'node:timers/promises';
import { countEnded } from './audit.js';
import type { Ledger } from './ledger.js';

const SETTLE_WITHIN_MS = 180_000;

/**
 * Waits until nothing moves any more: every order has ended and no message is under way. Gives up
 * after three minutes without any progress; what is unfinished then shows in the audit.
 */
export async function untilQuiet(
  ledger: Ledger,
  accepted: number,
  signal: AbortSignal,
): Promise<void> {
  let best = -1;
  let since = performance.now();
  for (;;) {
    const ended = await countEnded(ledger);
    const underWay = ended < accepted ? Number.NaN : await countUnderWay(ledger);
    if (underWay === 0) return;
    if (ended > best) {
      best = ended;
      since = performance.now();
    } else if (performance.now() - since > SETTLE_WITHIN_MS) {
      return;
    }
    await sleep(100, undefined, { signal });
  }
}

/** Messages in the outboxes and in the broker. */
async function countUnderWay(ledger: Ledger): Promise<number> {
  const outbox = 'SELECT count(*) AS n FROM sagaz.message';
  const counts = await Promise.all([
    ledger.count('orders', outbox),
    ledger.count('inventory', outbox),
    ledger.count('payments', outbox),
    ledger.count('broker', 'SELECT count(*) AS n FROM sagaz_broker.message'),
  ]);
  return counts.reduce((sum, n) => sum + n, 0);
}
