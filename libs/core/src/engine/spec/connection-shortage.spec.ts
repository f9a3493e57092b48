import { afterEach, describe, expect, it } from 'vitest';
import type { Transaction } from '../../ports/index.js';
import { EngineBench, Program } from '../../testing/index.js';
import type { StepTransactions, TransactionPlace } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const SECOND = 1_000;
const MINUTE = 60_000;
const HANDLER_MS = 3 * SECOND;

/**
 * A pool with one connection and a line before it, in which a busy consumer keeps a number of handlers:
 * each that has ended is followed by another one at the end of the line.
 */
class BusyPool implements StepTransactions {
  readonly #line: (() => void)[] = [];
  #taken = false;
  /** How many handlers have had the connection. */
  turns = 0;

  constructor(public handlers: number) {}

  open(): void {
    for (let n = 0; n < this.handlers; n += 1) this.#handle();
  }

  async run(
    _connection: string | undefined,
    work: (manager: unknown) => Promise<void>,
    beforeCommit: (transaction: Transaction) => Promise<void>,
    unwanted?: AbortSignal,
    kept?: TransactionPlace,
  ): Promise<void> {
    const place = kept ?? (await this.reserve(unwanted));
    try {
      await bench.transactions.run(async (transaction) => {
        await work(transaction);
        await beforeCommit(transaction);
      });
    } finally {
      place.release();
    }
  }

  async reserve(unwanted?: AbortSignal): Promise<TransactionPlace> {
    const waited = this.#taken;
    if (waited) {
      await new Promise<void>((resolve, reject) => {
        this.#line.push(resolve);
        unwanted?.addEventListener('abort', () => {
          const at = this.#line.indexOf(resolve);
          if (at >= 0) this.#line.splice(at, 1);
          reject(new Error('It is not wanted any more.'));
        });
      });
    }
    this.#taken = true;
    return { waited, release: () => this.#next() };
  }

  #next(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#taken = false;
    else next();
  }

  #handle(): void {
    void this.reserve().then((place) => {
      this.turns += 1;
      bench.clock.after(HANDLER_MS, () => {
        place.release();
        if (this.turns < 10_000 && this.handlers > 0) this.#handle();
      });
    });
  }
}

/** A step that must never run by mistake more than once, and is given up after three crashes. */
const booking = (): Program =>
  new Program({
    steps: {
      a: { undo: true },
      b: { dependsOn: ['a'], transactional: true, timeoutMs: 2 * SECOND },
    },
  });

const warnings = (): string[] =>
  bench.log.filter(({ message }) => message.includes('poolSize')).map(({ message }) => message);

describe('Transactional steps behind a backlog of handlers that never ends', () => {
  it('run within a bounded number of handler turns, and are not journaled again and again meanwhile', async () => {
    const saga = booking();
    bench = new EngineBench([saga]);
    const pool = new BusyPool(4);
    pool.open();
    const engine = await bench.engine({ stepTransactions: pool });
    const ids: string[] = [];
    for (let n = 0; n < 10; n += 1) ids.push((await bench.start(engine, saga)).id);
    // Each step waits for the handlers before it, and the line begins after the first second.
    await bench.clock.advance(10 * 5 * HANDLER_MS + 15 * SECOND);
    for (const id of ids) {
      expect((await bench.sagas.get(id))?.status).toBe('completed');
      const journal = await bench.journal(id);
      expect(journal.filter((line) => line === 'step_started b').length).toBeLessThanOrEqual(2);
    }
    expect(saga.calls.filter((call) => call === 'step b')).toHaveLength(10);
  });

  it('have no start in the journal while they wait, so that no death of their process counts', async () => {
    const saga = booking();
    bench = new EngineBench([saga]);
    const ids: string[] = [];
    for (let process = 0; process < 3; process += 1) {
      const pool = new BusyPool(1_000);
      pool.open();
      const engine = await bench.engine({ stepTransactions: pool });
      if (process === 0)
        for (let n = 0; n < 3; n += 1) ids.push((await bench.start(engine, saga)).id);
      // The sagas of the process before are adopted, and find out that there is no connection.
      await bench.clock.advance(process === 0 ? 2 * SECOND : MINUTE);
      for (let sample = 0; sample < 300; sample += 1) {
        await bench.clock.advance(100);
        for (const id of ids) expect((await bench.journal(id)).at(-1)).not.toBe('step_started b');
      }
      bench.kill(engine);
    }
    await bench.engine();
    await bench.clock.advance(MINUTE);
    for (const id of ids) {
      expect((await bench.sagas.get(id))?.status).toBe('completed');
      expect(await bench.journal(id)).not.toContain('step_crashed b');
    }
  });

  it('make the engine warn once a minute, with the remedy, and only while they wait', async () => {
    const saga = booking();
    bench = new EngineBench([saga]);
    const pool = new BusyPool(1_000);
    pool.open();
    const engine = await bench.engine({ stepTransactions: pool });
    const { id } = await bench.start(engine, saga);
    await bench.clock.advance(29 * SECOND);
    expect(warnings()).toEqual([]);
    await bench.clock.advance(5 * MINUTE);
    expect(warnings()).toHaveLength(5);
    expect(warnings()[0]).toContain('larger pool (poolSize)');
    await engine.cancel(id);
    await bench.clock.advance(5 * MINUTE);
    expect(warnings()).toHaveLength(5);
  });

  it('begin at once when the backlog is gone', async () => {
    const saga = booking();
    bench = new EngineBench([saga]);
    const pool = new BusyPool(3);
    pool.open();
    const engine = await bench.engine({ stepTransactions: pool });
    await bench.start(engine, saga);
    await bench.clock.advance(30 * SECOND);
    pool.handlers = 0;
    await bench.clock.advance(4 * HANDLER_MS);
    const before = bench.clock.now();
    const handles = await Promise.all(Array.from({ length: 20 }, () => bench.start(engine, saga)));
    await bench.clock.until(Promise.all(handles.map((handle) => handle.result())));
    expect(bench.clock.now() - before).toBeLessThan(SECOND);
  });
});
