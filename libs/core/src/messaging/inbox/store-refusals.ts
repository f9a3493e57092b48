import type { StoreFailure } from '../../errors/index.js';
import type { Clock, Logger } from '../../ports/index.js';
import { RepeatedFailures } from '../../retry/index.js';
import type { InboxHandler, InboxOutcome } from './inbox.types.js';

/** The first pause after a refusal, in milliseconds; later ones grow to ten seconds. */
const FIRST_PAUSE_MS = 1_000;
/** After this time without an end, another message is tried beside the one that is; in milliseconds. */
const TRY_MS = 30_000;

/**
 * Follows the handlers whose messages cannot be handled because the store refuses what the inbox asks, a
 * missing grant for instance. The messages are not at fault, so all of them wait: after each refusal
 * there is a pause, and after the pause one message is tried on behalf of all. Otherwise the refused
 * statement would be repeated for each message of the queue. Handlers that the store does not refuse go
 * on.
 */
export class StoreRefusals {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #failures: RepeatedFailures;
  /** By handler: until when no other message of it is tried, because one is. */
  readonly #tried = new Map<string, number>();

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly random: () => number;
    /** Called for each refusal that begins a pause, for metrics. */
    readonly onFailure: (failure: StoreFailure) => void;
  }) {
    const { clock, logger, random, onFailure } = options;
    this.#clock = clock;
    this.#random = random;
    this.#failures = new RepeatedFailures({
      clock,
      logger,
      random,
      onFailure,
      firstMs: FIRST_PAUSE_MS,
    });
  }

  /** The problem in words, for readiness; null: no handler was refused lately. */
  get problem(): string | null {
    return this.#failures.problem;
  }

  /**
   * Handles a message with `work`, unless others of its handler were refused a moment ago: then the
   * message is put off with `putOff` and is not tried.
   */
  async run(
    handler: InboxHandler,
    work: () => Promise<InboxOutcome>,
    putOff: (error: unknown) => InboxOutcome,
  ): Promise<InboxOutcome> {
    const refusal = this.#failures.empty ? null : this.#failures.of(nameOf(handler));
    if (refusal === null) return this.#ended(handler, await work());
    const what = nameOf(handler);
    const now = this.#clock.now();
    if (refusal.pauseLeftMs > 0 || (this.#tried.get(what) ?? 0) > now) {
      return this.#notBefore(refusal.pauseLeftMs, putOff(refusal.error));
    }
    this.#tried.set(what, now + TRY_MS);
    try {
      return this.#ended(handler, await work());
    } finally {
      this.#tried.delete(what);
    }
  }

  #ended(handler: InboxHandler, outcome: InboxOutcome): InboxOutcome {
    if (outcome.kind === 'retry' && outcome.refused === true) {
      return this.#notBefore(this.#failures.failed(nameOf(handler), outcome.error), outcome);
    }
    // A retry that is not counted shows no success: the database may be away, or the message busy.
    const succeeded = outcome.kind !== 'retry' || outcome.counted;
    if (succeeded && !this.#failures.empty) this.#failures.worked(nameOf(handler));
    return outcome;
  }

  /** The same outcome, with no retry before the pause is over. The retries are spread out. */
  #notBefore(pauseMs: number, outcome: InboxOutcome): InboxOutcome {
    if (outcome.kind !== 'retry') return outcome;
    const leftMs = Math.ceil(pauseMs * (1 + this.#random()));
    return { ...outcome, delayMs: Math.max(outcome.delayMs, leftMs) };
  }
}

function nameOf({ type, group }: InboxHandler): string {
  return `Handling '${type}' in the group '${group}'`;
}
