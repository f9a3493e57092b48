import type { Clock, Delivery, DeliveryOutcome, Message } from '../ports/index.js';

/** A message in a group, until it is handled. */
interface Waiting {
  readonly message: Message;
  attempts: number;
}

interface Line {
  readonly waiting: Waiting[];
  /** Somebody works on its first message, or its retry is not due. */
  busy: boolean;
}

/** Somebody in this process who handles messages of a group. */
export interface Consumer {
  readonly concurrency: number;
  readonly handle: (delivery: Delivery) => Promise<DeliveryOutcome>;
  /** Of the deliveries that are running. */
  readonly aborts: Set<AbortController>;
  /** False: it takes nothing more. */
  open: boolean;
  running: number;
  /** Called when nothing of it is running any more. */
  idle: (() => void) | undefined;
}

const DEFAULT_RETRY_MS = 1_000;

/** The messages of one consumer group: in order by key, across keys at once. */
export class MemoryBrokerGroup {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #lines = new Map<string, Line>();
  readonly #consumers = new Set<Consumer>();

  constructor(name: string, clock: Clock) {
    this.#name = name;
    this.#clock = clock;
  }

  add(message: Message): void {
    const name = `${message.tenant}\u0000${message.topic}\u0000${message.key}`;
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = { waiting: [], busy: false };
      this.#lines.set(name, line);
    }
    line.waiting.push({ message, attempts: 0 });
    this.#dispatchSoon();
  }

  join(consumer: Consumer): void {
    this.#consumers.add(consumer);
    this.#dispatchSoon();
  }

  /** The consumer is gone: what it was working on goes back to the head of its key. */
  leave(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    this.#dispatchSoon();
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
      consumer.running += 1;
      void this.#deliver(consumer, line, next);
    }
  }

  #freeConsumer(): Consumer | undefined {
    let free: Consumer | undefined;
    for (const consumer of this.#consumers) {
      if (!consumer.open || consumer.running >= consumer.concurrency) continue;
      if (free === undefined || consumer.running < free.running) free = consumer;
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
    const outcome = await Promise.race([this.#handle(consumer, item, abort.signal), gone]);
    consumer.aborts.delete(abort);
    consumer.running -= 1;
    if (consumer.running === 0) consumer.idle?.();
    if (outcome?.kind === 'done') {
      line.waiting.shift();
    } else if (outcome?.kind === 'retry') {
      this.#clock.after(outcome.delayMs, () => this.#free(line));
      return;
    }
    this.#free(line);
  }

  #free(line: Line): void {
    line.busy = false;
    this.#dispatchSoon();
  }

  async #handle(consumer: Consumer, item: Waiting, signal: AbortSignal): Promise<DeliveryOutcome> {
    try {
      return await consumer.handle({
        message: item.message,
        group: this.#name,
        attempt: item.attempts,
        signal,
      });
    } catch (error) {
      return { kind: 'retry', delayMs: DEFAULT_RETRY_MS, error };
    }
  }
}
