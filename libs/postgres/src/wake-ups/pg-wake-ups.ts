import { createHash } from 'node:crypto';
import {
  newNonce,
  type Clock,
  type Logger,
  type WakeChannel,
  type WakeListener,
  type WakeUps,
  errorMessage,
} from '@sagaz/core';
import {
  LIMITS,
  type ConnectionSettings,
  type PoolSource,
  type SagazPool,
  type SchemaName,
} from '../connection/index.js';
import { HintBatch, hintsOf } from './hint-batch.js';
import { Listener, notify } from './listener.js';

export interface PgWakeUpsOptions {
  readonly source: PoolSource;
  readonly settings: ConnectionSettings;
  /** The pool that sends notifications while no connection listens. */
  readonly pool: SagazPool;
  readonly schema: SchemaName;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * The longest time between two notifications when there are many hints, in milliseconds. Default 5.
   */
  readonly spacingMs?: number;
  /**
   * The time between two proofs that the listener receives notifications, in milliseconds. Default
   * 5,000.
   */
  readonly heartbeatMs?: number;
}

const SPACING_MS = 5;
/** From this many hints at once on, beside the first, notifications are spaced out in full. */
const CROWD = 8;

/**
 * Hints between the processes of one database by LISTEN and NOTIFY.
 *
 * Hints are not sent inside the transaction that they are about, because NOTIFY takes a lock over the
 * whole server at the commit, and producers would queue for it. They are sent afterwards and together:
 * at once under low load, and up to five milliseconds apart under high load. A transaction of Sagaz's
 * own that is the only one at the moment may send its hint at its commit ({@link PgWakeUps.announce}).
 */
export class PgWakeUps implements WakeUps {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #pool: SagazPool;
  readonly #channel: string;
  readonly #spacingMs: number;
  readonly #listener: Listener;
  readonly #self = newNonce();
  readonly #listeners = new Map<WakeChannel, Set<WakeListener>>();
  #here = new HintBatch();
  #elsewhere = new HintBatch();
  #speaking: Promise<void> | null = null;
  #closed = false;

  constructor(options: PgWakeUpsOptions) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#pool = options.pool;
    this.#channel = channelOf(options.schema);
    this.#spacingMs = options.spacingMs ?? SPACING_MS;
    this.#listener = new Listener({
      source: options.source,
      settings: options.settings,
      clock: options.clock,
      logger: options.logger,
      pool: options.pool.for('listen'),
      channel: this.#channel,
      ownChannel: `wake_${this.#self}`,
      heartbeatMs: options.heartbeatMs ?? LIMITS.listen,
      silent: (askedAt) => {
        options.pool.suspect(askedAt);
      },
      hear: (payload) => {
        this.#hear(payload);
      },
      opened: () => {
        this.#wakeAll();
      },
    });
  }

  get listening(): boolean {
    return this.#listener.listening;
  }

  /** Begins to listen, and goes on trying if that fails. */
  async start(): Promise<void> {
    await this.#listener.open();
  }

  hint(channel: WakeChannel, detail?: string): void {
    if (this.#closed) return;
    if (this.#here.empty) {
      queueMicrotask(() => {
        const hints = this.#here;
        this.#here = new HintBatch();
        for (const { channel: where, detail: what } of hints) {
          if (!this.hintHere(where, what)) this.#tell(where, what);
        }
      });
    }
    this.#here.add(channel, detail);
  }

  /** Wakes listeners of this process alone, now; whether one sees to all that the hint is about. */
  hintHere(channel: WakeChannel, detail?: string): boolean {
    let seenTo = false;
    for (const hear of this.#listeners.get(channel) ?? []) {
      try {
        if (hear(detail) === true) seenTo = true;
      } catch (error) {
        this.#logger.error('A listener to hints failed.', { channel }, error);
      }
    }
    return seenTo;
  }

  /** Tells other processes alone, soon. */
  hintElsewhere(channel: WakeChannel, detail?: string): void {
    if (!this.#closed) this.#tell(channel, detail);
  }

  /** The statement by which a transaction sends these hints to other processes when it commits. */
  announce(hints: HintBatch): { readonly channel: string; readonly payloads: readonly string[] } {
    return { channel: this.#channel, payloads: hints.payloads(this.#self) };
  }

  on(channel: WakeChannel, listener: WakeListener): () => void {
    // Wrapped, so that the same function given twice is heard twice and taken off once.
    const hear: WakeListener = (detail) => listener(detail);
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(hear));
    return () => {
      listeners.delete(hear);
    };
  }

  /** Says what is still to be said, and hears no more. */
  async close(): Promise<void> {
    this.#closed = true;
    // The hints of this tick have not been passed on yet.
    await Promise.resolve();
    await this.#speaking;
    await this.#listener.close();
    this.#listeners.clear();
  }

  #tell(channel: WakeChannel, detail: string | undefined): void {
    this.#elsewhere.add(channel, detail);
    this.#speaking ??= this.#speak();
  }

  /** Until nothing is left to say: what comes while a notification is under way goes with the next. */
  async #speak(): Promise<void> {
    // The end of this tick, in which more may come.
    await Promise.resolve();
    while (!this.#elsewhere.empty) {
      const hints = this.#elsewhere;
      this.#elsewhere = new HintBatch();
      const began = this.#clock.now();
      await this.#say(hints.payloads(this.#self));
      if (this.#closed) continue;
      // Few hints at a time are passed on as they come, though half of the time at most is spent on
      // it; the more there are, the longer they wait for each other.
      const tookMs = this.#clock.now() - began;
      const crowdMs = (this.#spacingMs * (hints.count - 1)) / CROWD;
      const pauseMs = Math.min(this.#spacingMs, Math.max(tookMs, crowdMs));
      if (pauseMs > 0) {
        await new Promise<void>((resolve) => this.#clock.after(pauseMs, resolve));
      }
    }
    this.#speaking = null;
  }

  async #say(payloads: readonly string[]): Promise<void> {
    try {
      if (this.#listener.listening) await this.#listener.say(payloads);
      else await this.#pool.for('listen').query(notify(this.#channel, payloads));
    } catch (error) {
      this.#logger.debug('A hint was not sent; polling finds what it was about.', {
        reason: errorMessage(error),
      });
    }
  }

  #hear(payload: string): void {
    for (const hint of hintsOf(payload, this.#self)) this.hintHere(hint.channel, hint.detail);
  }

  #wakeAll(): void {
    for (const channel of this.#listeners.keys()) this.hintHere(channel);
  }
}

/** A channel's name has at most 63 bytes, as a schema's has. */
function channelOf({ text }: SchemaName): string {
  const name = `wake_${text}`;
  return name.length <= 63
    ? name
    : `wake_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}
