import { describe, expect, it } from 'vitest';
import { ConsumerBench, outboxMessage } from '../../testing/index.js';
import { HandlerTimeoutError, type RowOutcome } from '../index.js';

const MINUTE = 60_000;

/** A consumer whose handlers of the keys `hang…` end only when they are told to. */
function benchWithHangs(options: { concurrency?: number; timeoutMs?: number | null } = {}) {
  const bench = new ConsumerBench();
  const ends = new Map<string, (outcome: RowOutcome) => void>();
  const signals = new Map<string, AbortSignal>();
  const attempts: number[] = [];
  const make = () =>
    bench.consumer({
      concurrency: 2,
      // Hours pass here: it reads when it is told to, and seldom else.
      settings: { pollIntervalMs: 10_000 },
      ...options,
      handle: (row, signal) => {
        const { key } = row.message;
        if (!key.startsWith('hang')) return { kind: 'complete' };
        attempts.push(row.attempts);
        signals.set(key, signal);
        return new Promise((resolve) => ends.set(key, resolve));
      },
    });
  return { bench, ends, signals, attempts, make };
}

describe('a handling that does not end within its time', () => {
  it('is told to stop, counted once, and leaves its place to other keys', async () => {
    const { bench, signals, attempts, make } = benchWithHangs();
    const consumer = make();
    await consumer.start();
    await bench.write(outboxMessage('hang1', 1), outboxMessage('hang2', 1));
    await bench.clock.advance(1_000);
    await bench.write(outboxMessage('a', 1));
    await bench.clock.advance(14 * MINUTE);
    expect(bench.handled).not.toContain('a:1');
    expect(consumer.problem()).toContain('No place of spec has been free for 8');
    await bench.clock.advance(2 * MINUTE);
    expect(bench.handled).toContain('a:1');
    expect(consumer.problem()).toBeNull();
    expect(signals.get('hang1')?.reason).toBeInstanceOf(HandlerTimeoutError);
    // Counted in the store at once: whoever has the slot next knows of it.
    await bench.clock.advance(60 * MINUTE);
    expect(attempts).toEqual([0, 0, 1, 1]);
  });

  it('keeps its key until it ends after all, and is done then', async () => {
    const { bench, ends, make } = benchWithHangs();
    await make().start();
    await bench.write(outboxMessage('hang1', 1), outboxMessage('hang1', 2));
    await bench.clock.advance(20 * MINUTE);
    expect(bench.handled).toEqual(['hang1:1']);
    ends.get('hang1')?.({ kind: 'complete' });
    await bench.clock.advance(1_000);
    expect(bench.handled).toEqual(['hang1:1', 'hang1:2']);
    ends.get('hang1')?.({ kind: 'complete' });
    await bench.clock.advance(1_000);
    expect(await bench.count()).toBe(0);
  });

  it('does not keep the other keys of its slot from a process that gets the slot', async () => {
    const { bench, make } = benchWithHangs();
    const first = make();
    await first.start();
    const hangs = Array.from({ length: 2 }, (_, n) => outboxMessage(`hang${n}`, 1));
    await bench.write(...hangs);
    await bench.clock.advance(1_000);
    for (let n = 0; n < 3; n += 1) await make().start();
    await bench.clock.advance(16 * MINUTE);
    await bench.write(...Array.from({ length: 300 }, (_, n) => outboxMessage(`k${n}`, n)));
    await bench.clock.advance(MINUTE);
    expect(bench.handled.filter((one) => one.startsWith('k'))).toHaveLength(300);
    expect(first.leases()).toBe(64);
  });

  it('is left to others at once when its process closes in good order', async () => {
    const { bench, attempts, make } = benchWithHangs();
    const first = make();
    await first.start();
    await bench.write(outboxMessage('hang1', 1));
    await bench.clock.advance(16 * MINUTE);
    await bench.clock.until(first.close(5_000), 6_000);
    const next = make();
    await next.start();
    await bench.clock.advance(1_000);
    expect(next.leases()).toBe(256);
    expect(attempts).toEqual([0]);
    await bench.clock.advance(60 * MINUTE);
    expect(attempts).toEqual([0, 1]);
  });

  it('is not stopped where it has no limit, nor are the slots given up for it', async () => {
    const { bench, signals, make } = benchWithHangs({ concurrency: 1, timeoutMs: null });
    const consumer = make();
    await consumer.start();
    await bench.write(outboxMessage('hang1', 1), outboxMessage('a', 1));
    await bench.clock.advance(180 * MINUTE);
    expect(signals.get('hang1')?.aborted).toBe(false);
    expect(consumer.leases()).toBe(256);
    expect(consumer.problem()).toContain('No place of spec has been free');
  });
});
