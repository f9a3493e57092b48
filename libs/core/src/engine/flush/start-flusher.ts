import type { Clock, NewSaga, SagaStore, StartOutcome } from '../../ports/index.js';

interface Waiting {
  readonly saga: NewSaga;
  readonly resolve: (outcome: StartOutcome) => void;
  readonly reject: (error: unknown) => void;
}

export interface StartFlusherOptions {
  readonly store: Pick<SagaStore, 'start'>;
  readonly clock: Clock;
  readonly flushers: number;
  readonly share: number;
  readonly group: number;
}

/** What one statement sends at most, unless its first saga alone is larger; as with transitions. */
const MOST_BYTES = 8 * 1_024 * 1_024;
/** How often a start without an answer is repeated before the caller is told. */
const MOST_REPEATS = 4;

/**
 * Starts sagas together, as transitions are flushed. Repeating a start that had no answer is
 * harmless: its id or its key is there then, and it is told so.
 */
export class StartFlusher {
  readonly #options: StartFlusherOptions;
  #queue: Waiting[] = [];
  #inFlight = 0;
  #scheduled = false;

  constructor(options: StartFlusherOptions) {
    this.#options = options;
  }

  submit(saga: NewSaga): Promise<StartOutcome> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ saga, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      const { flushers, share } = this.#options;
      while (
        this.#queue.length > 0 &&
        this.#inFlight < flushers &&
        (this.#inFlight === 0 || this.#queue.length >= share)
      ) {
        this.#inFlight += 1;
        void this.#flush(this.#queue.splice(0, this.#fitting())).finally(() => {
          this.#inFlight -= 1;
          this.#schedule();
        });
      }
    });
  }

  /** How many of those that wait go together: inputs are of any size, and a statement is held whole. */
  #fitting(): number {
    const most = Math.min(this.#options.group, this.#queue.length);
    let bytes = 0;
    for (let at = 0; at < most; at += 1) {
      const waiting = this.#queue[at];
      bytes += waiting === undefined ? 0 : bytesOf(waiting.saga);
      if (at > 0 && bytes > MOST_BYTES) return at;
    }
    return most;
  }

  async #flush(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await this.#options.store.start(batch.map((one) => one.saga));
      batch.forEach((one, at) => {
        const outcome = outcomes[at];
        if (outcome === undefined)
          one.reject(new TypeError('The store gave no outcome of a start.'));
        else one.resolve(outcome);
      });
    } catch (error) {
      // One saga the store cannot take must not fail those that were started beside it.
      await Promise.all(batch.map((one) => this.#alone(one, error)));
    }
  }

  async #alone(one: Waiting, first: unknown): Promise<void> {
    let last = first;
    for (let repeat = 0; repeat < MOST_REPEATS; repeat += 1) {
      await new Promise<void>((resolve) => this.#options.clock.after(20 * 4 ** repeat, resolve));
      try {
        const [outcome] = await this.#options.store.start([one.saga]);
        if (outcome !== undefined) {
          one.resolve(outcome);
          return;
        }
      } catch (error) {
        last = error;
      }
    }
    one.reject(last);
  }
}

/** About how many bytes a start sends. */
function bytesOf({ entries, messages }: NewSaga): number {
  let bytes = 0;
  for (const { data } of entries) bytes += data?.length ?? 0;
  for (const { payload } of messages) bytes += payload.byteLength;
  return bytes;
}
