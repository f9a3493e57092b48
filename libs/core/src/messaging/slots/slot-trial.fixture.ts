import type { QueuedMessage, SlotQueueStore } from '../../ports/index.js';
import { ConsumerBench, outboxMessage, textsOf } from '../../testing/index.js';
import type { RowOutcome, SlotConsumer } from './index.js';
import { ASKED } from './late-answers.fixture.js';
import { StoppableProcess } from './stoppable-process.fixture.js';

const LEASE_TTL_MS = 3_000;
const MESSAGES = 250;
const KEYS = 12;
/** Handlings and stops of processes are at most this long, which is longer than a lease. */
const LONG_MS = 3 * LEASE_TTL_MS;
/** At most so much later than the last fault all messages must be done. */
const CALM_MS = 300_000;

const FAILING: readonly (keyof SlotQueueStore)[] = [
  ...ASKED,
  'join',
  'release',
  'retractCrashes',
  'nextDueInMs',
];
/** A failure without a kind, one that a person must end, and one that passes. */
const CODES = [undefined, '42501', 'ECONNREFUSED'] as const;

interface Life {
  readonly process: StoppableProcess;
  readonly consumer: SlotConsumer;
}

/** A message that was written and is not done. */
interface Waiting {
  /** Since when it could be worked on: the message before it in its key is done, its retry is due. */
  since: number;
}

interface SlotTrialResult {
  /** Messages that no handler has finished. */
  readonly undone: readonly string[];
  /** Rows that are left in the store, dead letters apart. */
  readonly rowsLeft: number;
  /** Messages that were begun before an earlier one of their key was done. */
  readonly overtaken: readonly string[];
  /**
   * The longest time for which a message that could be worked on was not begun, after the last fault; in
   * milliseconds.
   */
  readonly longestWaitMs: number;
  /** When the last message was done, after the last fault; in milliseconds. */
  readonly doneAfterMs: number;
}

/**
 * Lets consumers work on messages whose handlers fail, take longer than a lease and are retried with
 * backoff, while processes are killed, closed and stopped, and calls of the store fail or are answered
 * late. Then nothing fails any more.
 */
export class SlotTrial {
  readonly #random: () => number;
  readonly #bench = new ConsumerBench();
  readonly #lives: Life[] = [];
  readonly #order = new Map<string, string[]>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #overtaken: string[] = [];
  #calmAt = Infinity;
  #doneAt = 0;
  #longestWaitMs = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  async run(): Promise<SlotTrialResult> {
    const { clock } = this.#bench;
    await this.#spawn();
    await this.#spawn();
    for (let n = 0; n < MESSAGES; n += 1) {
      await this.#write(n);
      if (this.#random() < 0.5) await clock.advance(this.#upTo(1_000));
      await this.#disturb();
    }
    this.#calmAt = clock.now();
    let rowsLeft = await this.#rowsLeft();
    while (rowsLeft > 0 && clock.now() < this.#calmAt + CALM_MS) {
      await clock.advance(5_000);
      rowsLeft = await this.#rowsLeft();
    }
    return {
      undone: [...this.#waiting.keys()],
      rowsLeft,
      overtaken: this.#overtaken,
      longestWaitMs: this.#longestWaitMs,
      doneAfterMs: this.#doneAt - this.#calmAt,
    };
  }

  async #write(n: number): Promise<void> {
    const key = `k${String(this.#upTo(KEYS))}`;
    const message = outboxMessage(key, n, { ordered: this.#random() > 0.05 });
    const [name = ''] = textsOf([message]);
    if (message.ordered) this.#order.set(key, [...(this.#order.get(key) ?? []), name]);
    this.#waiting.set(name, { since: this.#bench.clock.now() });
    await this.#bench.write(message);
  }

  /** Has a process die, end or stop, or calls of its store fail or wait, by chance. */
  async #disturb(): Promise<void> {
    const { clock } = this.#bench;
    if (this.#random() < 0.03) {
      this.#lives.shift()?.process.kill();
      await this.#spawn();
    }
    if (this.#random() < 0.02) {
      void this.#lives.shift()?.consumer.close(this.#upTo(2 * LEASE_TTL_MS));
      await this.#spawn();
    }
    if (this.#random() < 0.03) {
      const stopped = this.#anyProcess();
      stopped?.stop();
      clock.after(this.#upTo(LONG_MS), () => stopped?.go());
    }
    if (this.#random() < 0.15) {
      const method = ASKED[this.#upTo(ASKED.length)] ?? 'renew';
      const go = this.#anyProcess()?.severed.holdNext(method, this.#when());
      if (go !== undefined) clock.after(this.#upTo(LONG_MS), go);
    }
    if (this.#random() < 0.2) {
      const method = FAILING[this.#upTo(FAILING.length)] ?? 'renew';
      const code = CODES[this.#upTo(CODES.length)];
      const error = Object.assign(new Error('the store fails'), code === undefined ? {} : { code });
      this.#anyProcess()?.severed.failNext(method, error, this.#when());
    }
  }

  async #spawn(): Promise<void> {
    const process = new StoppableProcess(this.#bench.clock, this.#bench.outbox);
    const consumer = this.#bench.consumer({
      store: process.store,
      clock: process.clock,
      settings: { leaseTtlMs: LEASE_TTL_MS },
      handle: (row) => this.#handle(process, row),
    });
    this.#lives.push({ process, consumer });
    await consumer.start();
  }

  async #handle(process: StoppableProcess, row: QueuedMessage): Promise<RowOutcome> {
    const [name = ''] = textsOf([row.message]);
    this.#noteBegin(name, row);
    await process.sleep(this.#upTo(this.#faulty && this.#random() < 0.2 ? LONG_MS : 50));
    if (process.dead) return new Promise(() => undefined);
    const dice = this.#random();
    if (this.#faulty && dice < 0.15) {
      this.#noteRetry(name, 1_000);
      throw new Error('cut off');
    }
    if (this.#faulty && dice < 0.4) {
      const delayMs = Math.min(200 * 2 ** row.attempts, 5_000);
      this.#noteRetry(name, delayMs);
      return { kind: 'retry', delayMs, counts: this.#random() < 0.5, error: 'not now' };
    }
    if (this.#faulty && dice < 0.42) return { kind: 'again' };
    this.#noteEnd(name, row.message.key);
    if (dice < 0.97) return { kind: 'complete' };
    return { kind: 'dead_letter', counts: true, error: 'x', reason: 'refused', block: false };
  }

  #noteBegin(name: string, { ordered, message }: QueuedMessage): void {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined && !this.#faulty) {
      const waitedMs = this.#bench.clock.now() - Math.max(waiting.since, this.#calmAt);
      this.#longestWaitMs = Math.max(this.#longestWaitMs, waitedMs);
    }
    if (!ordered) return;
    const names = this.#order.get(message.key) ?? [];
    const first = names.slice(0, names.indexOf(name)).find((one) => this.#waiting.has(one));
    if (first !== undefined) this.#overtaken.push(`${name} was begun before ${first} was done`);
  }

  #noteRetry(name: string, delayMs: number): void {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) waiting.since = this.#bench.clock.now() + delayMs;
  }

  #noteEnd(name: string, key: string): void {
    const now = this.#bench.clock.now();
    this.#doneAt = now;
    this.#waiting.delete(name);
    const next = this.#order.get(key)?.find((one) => this.#waiting.has(one));
    const waiting = next === undefined ? undefined : this.#waiting.get(next);
    if (waiting !== undefined) waiting.since = Math.max(waiting.since, now);
  }

  get #faulty(): boolean {
    return this.#calmAt === Infinity;
  }

  async #rowsLeft(): Promise<number> {
    let rows = 0;
    for (const [status, count] of (await this.#bench.outbox.stats()).byStatus) {
      if (status !== 'dead_letter') rows += count;
    }
    return rows;
  }

  #anyProcess(): StoppableProcess | undefined {
    return this.#lives[this.#upTo(this.#lives.length)]?.process;
  }

  #when(): 'before' | 'after' {
    return this.#random() < 0.5 ? 'before' : 'after';
  }

  #upTo(most: number): number {
    return Math.floor(this.#random() * most);
  }
}
