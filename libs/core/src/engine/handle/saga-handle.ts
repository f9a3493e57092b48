import { checkArguments } from '../../errors/index.js';
import { copyOf } from '../../messaging/index.js';
import type { Clock } from '../../ports/index.js';
import { parseDuration, type Duration } from '../../retry/index.js';
import { SagaFailedError, SagaNotCommittedError, SagaWaitTimeoutError } from '../errors.js';
import type { OutcomeWatch } from './outcome-watch.js';
import { causeText, type SagaOutcome } from './saga-outcome.js';

/** Options of `outcome()` and `result()`. */
export interface WaitOptions {
  /** How long to wait for the saga's end; then `SagaWaitTimeoutError` is thrown. Default `'30s'`. */
  readonly timeout?: Duration;
}

const DEFAULT_WAIT_MS = 30_000;

/** A saga that was started, wherever it runs. */
export class SagaHandle<Output> {
  readonly #watch: OutcomeWatch;
  readonly #clock: Clock;
  readonly #committed: () => boolean;
  #known: SagaOutcome<unknown> | null = null;

  constructor(
    readonly id: string,
    watch: OutcomeWatch,
    clock: Clock,
    /** False while the transaction that starts the saga is open. */
    committed: () => boolean = () => true,
  ) {
    this.#watch = watch;
    this.#clock = clock;
    this.#committed = committed;
  }

  /**
   * Waits until the saga has ended or needs attention, wherever it runs, and returns that outcome. A
   * failed saga is an outcome too and leads to no error here.
   *
   * @throws SagaWaitTimeoutError when the wait is over first; the saga goes on
   * @throws SagaWaitEndedError at once when the engine closes; the saga goes on
   * @throws TooManySagaWaitsError beyond the setting `maxWaits`; the saga goes on
   * @throws SagaNotCommittedError inside the transaction that starts it
   * @throws SagaNotFoundError when that transaction was rolled back
   */
  async outcome(options: WaitOptions = {}): Promise<SagaOutcome<Output>> {
    checkArguments('outcome()', options, { timeout: () => undefined });
    if (!this.#committed()) throw new SagaNotCommittedError(this.id);
    const timeoutMs =
      options.timeout === undefined ? DEFAULT_WAIT_MS : parseDuration(options.timeout, 'timeout');
    const outcome = this.#known ?? (await this.#wait(timeoutMs));
    // A saga that needs a person has not ended, so its outcome may be another one at the next call.
    if (outcome.status !== 'needs_attention') this.#known = outcome;
    return typed<Output>(outcome);
  }

  /**
   * Waits until the saga has ended, and returns its output.
   *
   * @throws SagaFailedError when it ended in any other way than `completed`
   * @throws the errors of {@link outcome}
   */
  async result(options: WaitOptions = {}): Promise<Output> {
    const outcome = await this.outcome(options);
    if (outcome.status === 'completed') return outcome.output;
    throw new SagaFailedError(this.id, outcome, causeText(outcome));
  }

  #wait(timeoutMs: number): Promise<SagaOutcome<unknown>> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        stop();
        reject(new SagaWaitTimeoutError(this.id, timeoutMs));
      });
      const stop = this.#watch.wait(this.id, {
        resolve: (outcome) => {
          timer.cancel();
          resolve(outcome);
        },
        reject: (error) => {
          timer.cancel();
          reject(error);
        },
      });
    });
  }
}

/** The journal holds the output of the saga's own class, whose type the type parameter names. */
function typed<Output>(outcome: SagaOutcome<unknown>): SagaOutcome<Output> {
  // The engine gives all waiting callers the same object, so each caller gets a copy.
  const own = vouched<SagaOutcome<unknown>>(copyOf(outcome));
  if (own.status !== 'completed') return own;
  const output: Output = vouched(own.output);
  return { status: 'completed', output };
}

function vouched<T>(value: unknown): T {
  const holder: { value?: T } = {};
  Object.assign(holder, { value });
  return holder.value as T;
}
