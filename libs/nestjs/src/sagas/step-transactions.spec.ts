import type { Logger } from '@sagaz/core';
import { MemoryStore } from '@sagaz/core/memory';
import { describe, expect, it } from 'vitest';
import { StoreConnection } from '../enlist/index.js';
import { stepTransactionsOf } from './step-transactions.js';

const logger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Lets everything happen that waits for nothing but its turn in this process. */
async function quiet(): Promise<void> {
  for (let n = 0; n < 20; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A connection all of whose places handlers have, with more of them in line. */
function behindHandlers(inLine: number) {
  const store = new MemoryStore();
  const connection = new StoreConnection({
    name: 'default',
    store,
    source: 'orders',
    logger,
    observer: {},
  });
  const log: string[] = [];
  const ends: (() => void)[] = [];
  const handle = (name: string): Promise<void> =>
    connection.run(() => {
      log.push(name);
      return new Promise((resolve) => ends.push(resolve));
    });
  const all = Array.from({ length: connection.concurrency }, () => handle('running'));
  for (let n = 0; n < inLine; n += 1) all.push(handle(`handler ${String(n)}`));
  return {
    connection,
    log,
    all,
    /** Ends the handler that began first, and lets what follows begin. */
    async endOne(): Promise<void> {
      ends.shift()?.();
      await quiet();
    },
  };
}

describe('The transaction of a step', () => {
  it('begins after two handlers of a backlog at the most', async () => {
    const { connection, log, all, endOne } = behindHandlers(20);
    const steps = stepTransactionsOf(connection);
    const step = steps.run(
      undefined,
      async () => void log.push('step'),
      async () => undefined,
    );
    await endOne();
    await endOne();
    await step;
    expect(log.filter((one) => one !== 'running').slice(0, 2)).toEqual(['handler 0', 'step']);
    for (let n = 0; n < 30; n += 1) await endOne();
    await Promise.all(all);
  });

  it('uses the place that was reserved for it, while handlers wait for others', async () => {
    const { connection, log, all, endOne } = behindHandlers(20);
    const steps = stepTransactionsOf(connection);
    const place = steps.reserve?.(new AbortController().signal);
    await endOne();
    await endOne();
    const reserved = await place;
    expect(reserved?.waited).toBe(true);
    await steps.run(
      undefined,
      async () => void log.push('step'),
      async () => undefined,
      undefined,
      reserved,
    );
    await quiet();
    // Afterwards the place is free, and the next handler has it.
    expect(log.slice(-2)).toEqual(['step', 'handler 1']);
    for (let n = 0; n < 30; n += 1) await endOne();
    await Promise.all(all);
  });
});
