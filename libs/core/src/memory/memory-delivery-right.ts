import type { Clock, DeliveryExtension, Timer } from '../ports/index.js';

/** How many extensions fit into the time of a right, so that one or two may fail. */
const EXTENSIONS = 3;

/** The right to work on a message, which ends after a time unless it is extended: then the signal is aborted. */
export class MemoryDeliveryRight {
  readonly extension: DeliveryExtension;
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #abort: AbortController;
  #timer: Timer;

  constructor(clock: Clock, ms: number, abort: AbortController) {
    this.#clock = clock;
    this.#ms = ms;
    this.#abort = abort;
    this.#timer = this.#begin();
    this.extension = { everyMs: ms / EXTENSIONS, extend: () => this.#extend() };
  }

  /** The delivery has ended. */
  end(): void {
    this.#timer.cancel();
  }

  async #extend(): Promise<void> {
    if (this.#abort.signal.aborted) throw new Error('The message was given to another consumer.');
    this.#timer.cancel();
    this.#timer = this.#begin();
  }

  #begin(): Timer {
    return this.#clock.after(this.#ms, () => {
      this.#abort.abort(new Error(`The delivery was not extended for ${this.#ms} ms.`));
    });
  }
}
