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
import type { LandingBounds } from './landing-bounds.js';
import { LandingGate, type LandingState } from './landing-gate.js';
import { SizeWatch } from './size-watch.js';

export interface LandingWorkerOptions {
  /** The consumer group whose landing queue it works on. */
  readonly group: string;
  readonly inbox: Pick<InboxStore, 'landingQueue' | 'landedSize'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Messages of different keys handled at once. */
  readonly concurrency: number;
  /** Handles a message by the inbox, as a delivery of the broker is handled. It limits its own time. */
  readonly handle: (delivery: Delivery) => Promise<HandledDelivery>;
  /** Whether the group's broker keeps its retries: see {@link LandingGateOptions.keepsRetries}. Default true. */
  readonly keepsRetries?: boolean;
  /** How much may wait in the landing queue. Default: {@link DEFAULT_LANDING_BOUNDS}. */
  readonly bounds?: Partial<LandingBounds>;
  /** How often the landing queue is measured, in milliseconds. Default 5,000. */
  readonly measureEveryMs?: number;
  /** Hints that messages landed. Without them only polling finds those of other processes. */
  readonly wakeUps?: WakeUps;
  readonly settings?: Partial<SlotSettings>;
  readonly faults?: FaultPoints;
}

const MEASURE_EVERY_MS = 5_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Handles the messages in the landing queue of a consumer group, as one of any number of processes of the
 * group: those of a key one after the other, in the order in which they landed, each in one transaction that
 * claims it, runs its handler and removes its row. It also bounds the queue: deliveries of the group's broker
 * go through {@link LandingWorker.receive}.
 */
export class LandingWorker {
  readonly #options: LandingWorkerOptions;
  readonly #opening: RepeatedFailure;
  readonly #gate: LandingGate;
  readonly #watch: SizeWatch;
  readonly #incarnation = newNonce();
  #consumer: SlotConsumer | null = null;
  #timer: { cancel(): void } | null = null;
  #closed = false;

  /** @throws InvalidArgumentError for impossible bounds */
  constructor(given: LandingWorkerOptions) {
    const options = { ...given, logger: guardedLogger(given.logger) };
    this.#options = options;
    this.#gate = new LandingGate({ ...options, keepsRetries: options.keepsRetries ?? true });
    this.#watch = new SizeWatch({
      ...options,
      most: this.#gate.mostCounted,
      everyMs: options.measureEveryMs ?? MEASURE_EVERY_MS,
      measured: (size) => this.#gate.measured(size),
    });
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
      void this.#watch.start();
    } catch (error) {
      if (this.#isClosed()) return;
      this.#timer = clock.after(this.#opening.failed(error), () => void this.start());
    }
  }

  /** The problem and its remedy, for readiness; null while it works. */
  get problem(): string | null {
    return this.#opening.problem ?? this.#gate.problem ?? this.#consumer?.problem() ?? null;
  }

  /** What keeps the group from taking messages in this process. */
  get state(): LandingState {
    return this.#gate.state;
  }

  /** Whether deliveries of the broker may be put into the landing queue now. */
  get mayLand(): boolean {
    return this.#gate.mayLand;
  }

  /** Handles a delivery of the broker, once the bounds of the landing queue permit it. Never rejects. */
  receive(delivery: Delivery): Promise<HandledDelivery> {
    return this.#gate.pass(delivery, this.#options.handle);
  }

  /** Takes no more messages, and waits at most `withinMs` milliseconds for those under way. */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    this.#watch.stop();
    this.#gate.close();
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
    if (dueInMs > 0) return { kind: 'retry', delayMs: dueInMs, counts: false, error: null };
    const { tenant, source, id } = stored;
    const key = { tenant, group, source, id };
    const landed: LandedRow = { key, incarnation: this.#incarnation, lease, seq };
    const message = originalOf(stored);
    const attempt = attempts + 1;
    const delivery = { message, group, attempt, afterDeath, ordered, landed, signal };
    const end = await this.#gate.pass(delivery, handle);
    if (end.kind === 'done') return { kind: 'ended', blocks: end.blocks === true };
    if (end.error instanceof HeldKeyError) return { kind: 'behind', error: end.error };
    return { kind: 'retry', delayMs: end.delayMs, counts: end.counted, error: end.error };
  }
}
