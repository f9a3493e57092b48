import {
  RepeatedFailures,
  delayOf,
  errorText,
  storeFailureOf,
  type Clock,
  type Logger,
  type NewMail,
  type RetryPolicy,
  type SagaStore,
  type StoreFailure,
  type WakeUps,
} from '@sagaz/core';

/** The first pause after a refusal by a store, in milliseconds; later ones grow to ten seconds. */
const FIRST_PAUSE_MS = 500;

/** The delays of a single reply that its store does not take, although it takes others. */
const ALONE: RetryPolicy = {
  attempts: Number.POSITIVE_INFINITY,
  backoffMs: 1_000,
  factor: 2,
  maxDelayMs: 30_000,
  jitter: 0.5,
};

/** A connection of which replies are stored. */
export interface ReplyKeeper {
  readonly name: string;
  readonly store: {
    readonly sagas: Pick<SagaStore, 'putMail' | 'get'>;
    readonly wakeUps: Pick<WakeUps, 'hint'>;
  };
}

/** A use of a store that failed: the reply is delivered again after the delay. */
export interface PutOff {
  readonly delayMs: number;
  readonly error: unknown;
}

export interface ReplyStoringOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each failed use that begins a pause, for metrics. */
  readonly onFailure: (connection: string, failure: StoreFailure) => void;
  /** A random number from 0 to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/**
 * Stores replies as mail of their sagas. While a store is away or refuses that, a missing grant for
 * instance, the replies for it wait: after each failure there is a pause, and after the pause one reply
 * is tried on behalf of all, since otherwise each waiting reply would repeat the refused statement. The
 * replies for other stores go on.
 */
export class ReplyStoring {
  readonly #options: ReplyStoringOptions;
  readonly #failures = new Map<string, RepeatedFailures>();
  /** The uses of stores that are tried with one reply on behalf of all. */
  readonly #tried = new Set<string>();

  constructor(options: ReplyStoringOptions) {
    this.#options = options;
  }

  /** The problem in words, for readiness; null while every store takes the replies. */
  get problem(): string | null {
    for (const failures of this.#failures.values()) {
      if (failures.problem !== null) return failures.problem;
    }
    return null;
  }

  /** Stores mail and wakes the engines. Null: it is stored. */
  async put(connection: ReplyKeeper, mail: NewMail, attempt: number): Promise<PutOff | null> {
    const { sagas, wakeUps } = connection.store;
    const what = `Storing replies by the connection '${connection.name}'`;
    const stored = await this.#use(what, connection, mail, attempt, () => sagas.putMail([mail]));
    if ('delayMs' in stored) return stored;
    wakeUps.hint('saga');
    return null;
  }

  /** Whether the saga of the mail is in the store of the connection. */
  async has(connection: ReplyKeeper, mail: NewMail, attempt: number): Promise<boolean | PutOff> {
    const { sagas } = connection.store;
    const what = `Looking for the sagas of replies by the connection '${connection.name}'`;
    const found = await this.#use(what, connection, mail, attempt, () => sagas.get(mail.sagaId));
    return 'delayMs' in found ? found : found.value !== null;
  }

  async #use<T>(
    what: string,
    { name }: ReplyKeeper,
    { sagaId }: NewMail,
    attempt: number,
    work: () => Promise<T>,
  ): Promise<{ readonly value: T } | PutOff> {
    const { logger } = this.#options;
    const failures = this.#failures.get(name);
    const failing = failures?.of(what) ?? null;
    const alone = failing !== null;
    if (failing !== null && (failing.pauseLeftMs > 0 || this.#tried.has(what))) {
      return this.#after(Math.max(failing.pauseLeftMs, FIRST_PAUSE_MS), failing.error);
    }
    if (alone) this.#tried.add(what);
    try {
      const value = await work();
      failures?.worked(what);
      return { value };
    } catch (error) {
      if (storeFailureOf(error) !== 'failed') {
        return this.#after(this.#failuresOf(name).failed(what, error), error);
      }
      // The store took the statement and this reply was refused: others need not wait.
      logger.warn('A reply could not be stored for its saga; it is tried again.', {
        connection: name,
        sagaId,
        attempt,
        error: errorText(error),
      });
      return { delayMs: delayOf(ALONE, attempt, this.#options.random), error };
    } finally {
      if (alone) this.#tried.delete(what);
    }
  }

  /** Not before the pause is over; the retries are spread out. */
  #after(pauseMs: number, error: unknown): PutOff {
    const { random = Math.random } = this.#options;
    return { delayMs: Math.ceil(pauseMs * (1 + random())), error };
  }

  #failuresOf(name: string): RepeatedFailures {
    const known = this.#failures.get(name);
    if (known !== undefined) return known;
    const { clock, logger, onFailure, random } = this.#options;
    const failures = new RepeatedFailures({
      clock,
      logger,
      firstMs: FIRST_PAUSE_MS,
      onFailure: (failure) => onFailure(name, failure),
      ...(random === undefined ? {} : { random }),
    });
    this.#failures.set(name, failures);
    return failures;
  }
}
