import type { StoreFailure } from '../errors/index.js';
import type { Clock, Logger } from '../ports/index.js';
import { RepeatedFailure } from '../retry/index.js';

/** What an engine asks its store for over and over, and which of it fails. */
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

  /** One more use. `what` begins a sentence: `Claiming sagas`. */
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

  /** Null, or one of the things that are wrong, for readiness. */
  get problem(): string | null {
    for (const { problem } of this.#uses) if (problem !== null) return problem;
    return null;
  }
}
