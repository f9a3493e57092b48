import type { StoreFailure } from '../errors/index.js';
import type { Clock, Logger } from '../ports/index.js';
import { RepeatedFailure } from '../retry/index.js';

/** The repeated uses that an engine makes of its store, and which of them fail now. */
export class EngineTroubles {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onFailure: (failure: StoreFailure) => void;
  readonly #uses: RepeatedFailure[] = [];

  constructor(clock: Clock, logger: Logger, onFailure: (failure: StoreFailure) => void) {
    this.#clock = clock;
    this.#logger = logger;
    this.#onFailure = onFailure;
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
    return null;
  }
}
