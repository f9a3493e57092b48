import { newNonce } from '../../ids.js';
import type {
  Clock,
  Delivery,
  FaultPoints,
  InboxStore,
  LandedRow,
  Logger,
  QueuedMessage,
  SlotLease,
  WakeUps,
} from '../../ports/index.js';
import { guardedLogger } from '../../observers/index.js';
import { RepeatedFailure } from '../../retry/index.js';
import { HeldKeyError, originalOf, type HandledDelivery } from '../inbox/index.js';
import {
  handleEach,
  landingChannel,
  SlotConsumer,
  type RowOutcome,
  type SlotSettings,
} from '../slots/index.js';

export interface LandingWorkerOptions {
  /** The consumer group whose landing queue it works on. */
  readonly group: string;
  readonly inbox: Pick<InboxStore, 'landingQueue'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Messages of different keys handled at once. */
  readonly concurrency: number;
  /** Handles a message by the inbox, as a delivery of the broker is handled. It limits its own time. */
  readonly handle: (delivery: Delivery) => Promise<HandledDelivery>;
  /** Hints that messages landed. Without them only polling finds those of other processes. */
  readonly wakeUps?: WakeUps;
  readonly settings?: Partial<SlotSettings>;
  readonly faults?: FaultPoints;
}

/** The error of a row that waits for its next attempt. */
const NOT_DUE = new Error('The attempt before it landed failed, and the next one is not due yet.');

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Handles the messages in the landing queue of a consumer group, as one of any number of processes of the
 * group: those of a key one after the other, in the order in which they landed, each in one transaction that
 * claims it, runs its handler and removes its row.
 */
export class LandingWorker {
  readonly #options: LandingWorkerOptions;
  readonly #opening: RepeatedFailure;
  readonly #incarnation = newNonce();
  #consumer: SlotConsumer | null = null;
  #timer: { cancel(): void } | null = null;
  #closed = false;

  constructor(given: LandingWorkerOptions) {
    const options = { ...given, logger: guardedLogger(given.logger) };
    this.#options = options;
    this.#opening = new RepeatedFailure({
      clock: options.clock,
      logger: options.logger,
      what: `Opening the landing queue of group ${options.group}`,
      firstMs: FIRST_PAUSE_MS,
      maxMs: LONGEST_PAUSE_MS,
    });
  }

  /** Begins; a store that is away is tried again until it answers. Never rejects. */
  async start(): Promise<void> {
    const { group, inbox, clock, logger, wakeUps, settings, faults } = this.#options;
    this.#timer = null;
    try {
      const store = await inbox.landingQueue(group);
      if (this.#closed) return;
      const consumer = new SlotConsumer({
        name: `landing queue of ${group}`,
        incarnation: this.#incarnation,
        store,
        clock,
        logger,
        work: handleEach({
          name: `the landing queue of ${group}`,
          clock,
          concurrency: this.#options.concurrency,
          timeoutMs: null,
          ...(faults === undefined ? {} : { faults }),
          handle: (row, signal, afterDeath, lease) => this.#handle(row, signal, afterDeath, lease),
        }),
        ...(wakeUps === undefined ? {} : { wake: { wakeUps, channel: landingChannel(group) } }),
        ...(settings === undefined ? {} : { settings }),
        ...(faults === undefined ? {} : { faults }),
      });
      this.#consumer = consumer;
      await consumer.start();
      this.#opening.worked();
    } catch (error) {
      if (this.#isClosed()) return;
      this.#timer = clock.after(this.#opening.failed(error), () => void this.start());
    }
  }

  /** The problem and its remedy, for readiness; null while it works. */
  get problem(): string | null {
    return this.#opening.problem ?? this.#consumer?.problem() ?? null;
  }

  /** Takes no more messages, and waits at most `withinMs` milliseconds for those under way. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#consumer?.close(withinMs);
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  async #handle(
    { message: stored, attempts, ordered, seq, dueInMs = 0 }: QueuedMessage,
    signal: AbortSignal,
    afterDeath: boolean,
    lease: SlotLease,
  ): Promise<RowOutcome> {
    const { group, handle } = this.#options;
    // It landed after a failed attempt: the queue holds it, and its followers, until its time.
    if (dueInMs > 0) return { kind: 'retry', delayMs: dueInMs, counts: false, error: NOT_DUE };
    const { tenant, source, id } = stored;
    const key = { tenant, group, source, id };
    const landed: LandedRow = { key, incarnation: this.#incarnation, lease, seq };
    const message = originalOf(stored);
    const attempt = attempts + 1;
    const end = await handle({ message, group, attempt, afterDeath, ordered, landed, signal });
    if (end.kind === 'done') return { kind: 'ended', blocks: end.blocks === true };
    if (end.error instanceof HeldKeyError) return { kind: 'behind', error: end.error };
    return { kind: 'retry', delayMs: end.delayMs, counts: end.counted, error: end.error };
  }
}
