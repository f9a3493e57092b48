import { describe, expect, it } from 'vitest';
import { audit } from './audit.js';

/** Answers each question to the databases with rows that are given by hand. */
function ledgerOf(books: Record<string, readonly object[]>): Parameters<typeof audit>[0] {
  return {
    read: (database, row) => Promise.resolve((books[database] ?? []).map((one) => row.parse(one))),
  };
}

describe('the audit', () => {
  const books = {
    orders: [
      { id: 'a', status: 'confirmed', saga: 'completed' },
      { id: 'b', status: 'rejected', saga: 'compensated' },
    ],
    inventory: [{ order_id: 'a', status: 'sold', lines: [{ sku: 'S', quantity: 1 }] }],
    payments: [{ order_id: 'a', captured: 1, captures: 1 }],
  };
  const stock = new Map([['S', 1]]);

  it('finds nothing wrong with books that agree', async () => {
    expect(await audit(ledgerOf(books), new Set(['a', 'b']), stock)).toEqual({
      confirmed: 1,
      rejected: 1,
      needsAttention: 0,
      unfinished: 0,
      oversoldProducts: 0,
      chargedNotConfirmed: 0,
      confirmedNotCharged: 0,
      reservedNotConfirmed: 0,
      doubleCharges: 0,
    });
  });

  it('counts an order as unfinished that was accepted and is on no book', async () => {
    const findings = await audit(ledgerOf(books), new Set(['a', 'b', 'lost']), stock);
    expect(findings.unfinished).toBe(1);
  });
});
