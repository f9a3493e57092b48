import { HandlerTimeoutError, settlesWithin, type Places } from '../messaging/index.js';
import type {
  Clock,
  Delivery,
  DeliveryExtension,
  DeliveryOutcome,
  Message,
} from '../ports/index.js';
import type { Kept } from './memory-broker-lag.js';
import { MemoryDeliveryRight } from './memory-delivery-right.js';

/** A message in a group, until it is handled. */
interface Waiting {
  readonly message: Message;
  /** When it was published, by the clock. */
  readonly at: number;
  attempts: number;
}

interface Line {
  readonly waiting: Waiting[];
  /** Whether the first message of the key is being handled, or waits for its retry. */
  busy: boolean;
}

/** A consumer of this process that handles messages of a group. */
export interface Consumer {
  readonly places: Places;
  /** The time limit of a handler in milliseconds; null: `handle` limits its own time. */
  readonly timeoutMs: number | null;
  readonly handle: (delivery: Delivery) => Promise<DeliveryOutcome>;
  /** Signals of the deliveries that are running. */
  readonly aborts: Set<AbortController>;
  /** False once the consumer takes no more messages. */
  open: boolean;
  /** Called when none of its deliveries is running any more. */
  idle: (() => void) | undefined;
}

const DEFAULT_RETRY_MS = 1_000;
/**
 * How long a handler that was told to stop is waited for, and how long its key is held back after
 * that.
 */
const GRACE_MS = 10_000;
const HELD_MS = 3_600_000;

/**
 * The messages of one consumer group: those of a key are handled in order, those of different keys in
 * parallel.
 */
export class MemoryBrokerGroup {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #redeliverAfterMs: number | null;
  readonly #lines = new Map<string, Line>();
  readonly #consumers = new Set<Consumer>();

  /** @param redeliverAfterMs - see `MemoryBrokerOptions`; null: a delivery needs no extension */
  constructor(name: string, clock: Clock, redeliverAfterMs: number | null) {
    this.#name = name;
    this.#clock = clock;
    this.#redeliverAfterMs = redeliverAfterMs;
  }

  /** @param at - when the message was published, by the clock */
  add(message: Message, at: number): void {
    const name = `${message.tenant}\u0000${message.topic}\u0000${message.key}`;
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = { waiting: [], busy: false };
      this.#lines.set(name, line);
    }
    line.waiting.push({ message, at, attempts: 0 });
    this.#dispatchSoon();
  }

  join(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.#dispatchSoon();
  }

  /** Removes a consumer that is gone: the messages it was handling go back to the head of their keys. */
  leave(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    this.#dispatchSoon();
  }

  /** Every message that is not handled yet, and when it was published. */
  *all(): Iterable<Kept> {
    for (const line of this.#lines.values()) yield* line.waiting;
  }

  get waiting(): number {
    let count = 0;
    for (const line of this.#lines.values()) count += line.waiting.length;
    return count;
  }

  #dispatchSoon(): void {
    queueMicrotask(() => this.#dispatch());
  }

  #dispatch(): void {
    for (const [name, line] of this.#lines) {
      if (line.busy) continue;
      const next = line.waiting[0];
      if (next === undefined) {
        this.#lines.delete(name);
        continue;
      }
      const consumer = this.#freeConsumer();
      if (consumer === undefined) return;
      line.busy = true;
      consumer.places.take();
      void this.#deliver(consumer, line, next);
    }
  }

  #freeConsumer(): Consumer | undefined {
    let free: Consumer | undefined;
    for (const consumer of this.#consumers) {
      if (!consumer.open || consumer.places.free <= 0) continue;
      if (free === undefined || consumer.places.taken < free.places.taken) free = consumer;
    }
    return free;
  }

  async #deliver(consumer: Consumer, line: Line, item: Waiting): Promise<void> {
    item.attempts += 1;
    const abort = new AbortController();
    consumer.aborts.add(abort);
    const gone = new Promise<null>((resolve) => {
      abort.signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    const stop = new AbortController();
    const signal = AbortSignal.any([abort.signal, stop.signal]);
    const right = this.#rightOf(abort);
    const ended = Promise.race([
      this.#handle(consumer, item, signal, right?.extension),
      gone,
    ]).finally(() => right?.end());
    const hangs = await this.#hangs(consumer, item, ended, stop);
    consumer.places.release();
    if (consumer.places.taken === 0) consumer.idle?.();
    // The consumer is free again; the key waits for the handler to end, or for the next attempt.
    if (hangs) this.#dispatchSoon();
    const held = !hangs || (await settlesWithin(ended, this.#clock, HELD_MS));
    consumer.aborts.delete(abort);
    if (!held) {
      this.#free(line);
      return;
    }
    const outcome = await ended;
    if (outcome?.kind === 'done') {
      line.waiting.shift();
    } else if (outcome?.kind === 'retry') {
      this.#clock.after(outcome.delayMs, () => this.#free(line));
      return;
    }
    this.#free(line);
  }

  /** Whether the handler still runs although its time is over and it was told to stop. */
  async #hangs(
    { timeoutMs }: Consumer,
    { message }: Waiting,
    ended: Promise<unknown>,
    stop: AbortController,
  ): Promise<boolean> {
    if (timeoutMs === null) {
      await ended;
      return false;
    }
    if (await settlesWithin(ended, this.#clock, timeoutMs)) return false;
    const graceful = settlesWithin(ended, this.#clock, GRACE_MS);
    stop.abort(new HandlerTimeoutError(message.type, timeoutMs));
    return !(await graceful);
  }

  #free(line: Line): void {
    line.busy = false;
    this.#dispatchSoon();
  }

  /** The right to a delivery where it ends by itself, and is extended; null: it does not end. */
  #rightOf(abort: AbortController): MemoryDeliveryRight | null {
    if (this.#redeliverAfterMs === null) return null;
    return new MemoryDeliveryRight(this.#clock, this.#redeliverAfterMs, abort);
  }

  async #handle(
    consumer: Consumer,
    item: Waiting,
    signal: AbortSignal,
    extension: DeliveryExtension | undefined,
  ): Promise<DeliveryOutcome> {
    try {
      return await consumer.handle({
        message: item.message,
        group: this.#name,
        attempt: item.attempts,
        signal,
        ...(extension === undefined ? {} : { extension }),
      });
    } catch (error) {
      return { kind: 'retry', delayMs: DEFAULT_RETRY_MS, error };
    }
  }
}
