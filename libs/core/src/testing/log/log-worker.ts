import { settlesWithin, SubscriptionClosedError } from '../../messaging/index.js';
import type { Clock, Delivery, DeliveryOutcome, SubscribeRequest } from '../../ports/index.js';
import type { LogPlaces } from './log-places.js';
import type { LogEntry, LogPartition, LogServer } from './log-server.js';

/** The messages behind one that has landed which are looked through for others of its key. */
const WINDOW = 16;
const DEFAULT_RETRY_MS = 1_000;
const STOPPED = new Error('The partition was given away before the message was begun.');

export interface LogWorkerOptions {
  readonly server: LogServer;
  readonly clock: Clock;
  readonly request: SubscribeRequest;
  readonly partition: LogPartition;
  readonly from: number;
  readonly afterDeath: boolean;
  readonly places: LogPlaces;
  /** Handlers of this process that were told to stop and have not ended; the same key waits for them. */
  readonly unsettled: Map<string, Promise<unknown>>;
  /** Acknowledgements are sent after so many messages, and when the worker stops. */
  readonly commitEvery: number;
  /** The same after so many milliseconds. */
  readonly commitAfterMs: number;
}

/**
 * Works on one partition: it delivers a message when the one before it has ended, as done or as landed, and
 * acknowledges seldom, so that what it had acknowledged in its own memory comes again after a crash.
 */
export class LogWorker {
  readonly #options: LogWorkerOptions;
  readonly #stop = new AbortController();
  /** Aborted when a delivery under way has lost its right. */
  readonly #lost = new AbortController();
  readonly #stopped: Promise<null>;
  readonly #gone: Promise<null>;
  readonly #running: Promise<void>;
  /** Places of messages behind `#next` that have landed already. */
  readonly #landed = new Set<number>();
  #next: number;
  #committed: number;
  #commits = false;
  #dead = false;

  constructor(options: LogWorkerOptions) {
    this.#options = options;
    this.#next = options.from;
    this.#committed = options.from;
    this.#stopped = aborted(this.#stop.signal);
    this.#gone = aborted(this.#lost.signal);
    this.#running = this.#run();
  }

  /**
   * Begins nothing more, waits at most `withinMs` for what runs, acknowledges, and tells what still runs to
   * stop.
   */
  async release(withinMs: number): Promise<void> {
    const { clock, server, request, partition } = this.#options;
    this.#stop.abort();
    await settlesWithin(this.#running, clock, withinMs);
    this.#lost.abort(new SubscriptionClosedError());
    if (this.#dead) return;
    this.#dead = true;
    server.commit(request.group, partition, this.#next);
    server.closed(request.group, partition);
  }

  /** The process dies: nothing that it still does counts, and what it had not acknowledged comes again. */
  die(): void {
    this.#dead = true;
    this.#stop.abort();
    this.#lost.abort(new Error('The process died.'));
  }

  async #run(): Promise<void> {
    const { server, partition } = this.#options;
    while (!this.#stop.signal.aborted) {
      const entry = server.entry(partition, this.#next);
      if (entry === undefined) {
        const appended = new Promise<void>((resolve) => server.whenAppended(partition, resolve));
        await Promise.race([appended, this.#stopped]);
        continue;
      }
      if (!this.#landed.delete(this.#next) && !(await this.#work(entry))) return;
      this.#next += 1;
      this.#commitSoon();
    }
  }

  /** Whether the message has ended, and the next one may begin. */
  async #work(entry: LogEntry): Promise<boolean> {
    const { clock, unsettled } = this.#options;
    const { message } = entry;
    const line = `${message.tenant}\u0000${message.topic}\u0000${message.key}`;
    await Promise.race([unsettled.get(line), this.#stopped]);
    for (let attempt = 1; !this.#stop.signal.aborted; attempt += 1) {
      const handled = this.#handle(entry, attempt);
      const outcome = await Promise.race([handled, this.#gone]);
      if (outcome === null) {
        unsettled.set(
          line,
          handled.finally(() => unsettled.delete(line)),
        );
        return false;
      }
      if (outcome.kind === 'done') {
        if (outcome.landed === true) await this.#landFollowers(line);
        return true;
      }
      const due = new Promise<void>((resolve) => clock.after(outcome.delayMs, resolve));
      await Promise.race([due, this.#stopped]);
    }
    return false;
  }

  async #handle(entry: LogEntry, attempt: number): Promise<DeliveryOutcome> {
    const { places, request } = this.#options;
    await places.take();
    try {
      // The partition may have been given away while all places were taken.
      if (this.#stop.signal.aborted) return { kind: 'retry', delayMs: 0, error: STOPPED };
      return await request.handle(this.#deliveryOf(entry, attempt));
    } catch (error) {
      return { kind: 'retry', delayMs: DEFAULT_RETRY_MS, error };
    } finally {
      places.release();
    }
  }

  /** What is in memory of the key of a message that has just landed goes to the same place, in one statement. */
  async #landFollowers(line: string): Promise<void> {
    const { server, partition, request } = this.#options;
    const places: number[] = [];
    const deliveries: Delivery[] = [];
    for (let place = this.#next + 1; place <= this.#next + WINDOW; place += 1) {
      const entry = server.entry(partition, place);
      if (entry === undefined) break;
      const { tenant, topic, key } = entry.message;
      if (`${tenant}\u0000${topic}\u0000${key}` !== line || this.#landed.has(place)) continue;
      places.push(place);
      deliveries.push(this.#deliveryOf(entry, 1));
    }
    if (deliveries.length === 0 || (await request.land?.(deliveries)) !== true) return;
    for (const place of places) this.#landed.add(place);
  }

  #deliveryOf({ message }: LogEntry, attempt: number): Delivery {
    const { request, from, afterDeath } = this.#options;
    return {
      message,
      group: request.group,
      attempt,
      afterDeath: afterDeath && this.#next < from + WINDOW,
      signal: this.#lost.signal,
    };
  }

  #commitSoon(): void {
    const { clock, commitEvery, commitAfterMs } = this.#options;
    if (this.#next - this.#committed >= commitEvery) this.#commit();
    if (this.#commits || this.#next === this.#committed) return;
    this.#commits = true;
    clock.after(commitAfterMs, () => {
      this.#commits = false;
      this.#commit();
    });
  }

  #commit(): void {
    if (this.#dead) return;
    const { server, request, partition } = this.#options;
    this.#committed = this.#next;
    server.commit(request.group, partition, this.#next);
  }
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
