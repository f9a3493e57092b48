import { describe, expect, it } from 'vitest';
import { killEach, type Killable } from './killer.js';

describe('the killer', () => {
  it('finds every process at work, on a machine so fast that nothing is left when one is up again', async () => {
    let sent = 0;
    let ended = 0;
    const underWay: number[] = [];
    const process = (name: string): Killable => ({
      name,
      kill: () => Promise.resolve(),
      start: () => undefined,
      ready: () => {
        ended = sent;
        return Promise.resolve();
      },
    });

    await killEach(
      ['orders', 'inventory', 'payments', 'worker', 'database'].map(process),
      {
        total: 30,
        sent: () => sent,
        ended: () => Promise.resolve(ended < sent ? (ended += 1) : ended),
        letThrough: (orders) => (sent = orders),
      },
      (_name, orders) => underWay.push(orders),
      new AbortController().signal,
    );

    expect(underWay).toHaveLength(5);
    expect(Math.min(...underWay)).toBeGreaterThan(0);
    expect(sent).toBe(30);
  });
});
