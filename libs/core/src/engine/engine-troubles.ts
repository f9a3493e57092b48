import type { StoreFailure } from '../errors/index.js';
import type { Clock, Logger } from '../ports/index.js';
import { RepeatedFailure, RepeatedFailures } from '../retry/index.js';
import type { FactStream } from './facts/index.js';

/** For so long after a failure of a caller's use, further ones are not counted; in milliseconds. */
const OF_CALLERS_MS = 1_000;

/** The repeated uses that an engine makes of its store, and which of them fail now. */
export class EngineTroubles {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onFailure: (failure: StoreFailure) => void;
  readonly #uses: RepeatedFailure[] = [];
  /** Uses that are repeated only as often as callers ask for them, so they are forgotten after a while. */
  readonly ofCallers: RepeatedFailures;

  constructor(clock: Clock, logger: Logger, facts: FactStream) {
    this.#clock = clock;
    this.#logger = logger;
    const onFailure = (failure: StoreFailure): void => {
      if (facts.wants('store_failed')) facts.tell({ kind: 'store_failed', failure });
    };
    this.#onFailure = onFailure;
    this.ofCallers = new RepeatedFailures({ clock, logger, onFailure, firstMs: OF_CALLERS_MS });
  }

  /** Adds a use. `what` is the subject of a sentence in the log, for example `Claiming sagas`. */
  use(what: string, firstMs: number, maxMs?: number): RepeatedFailure {
    const use = new RepeatedFailure({
      clock: this.#clock,
      logger: this.#logger,
      onFailure: this.#onFailure,
      what,
      firstMs,
      ...(maxMs === undefined ? {} : { maxMs }),
    });
    this.#uses.push(use);
    return use;
  }

  /** The problem of one use that fails now, for readiness; null: none fails. */
  get problem(): string | null {
    for (const { problem } of this.#uses) if (problem !== null) return problem;
    return this.ofCallers.problem;
  }
}
