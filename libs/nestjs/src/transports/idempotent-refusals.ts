import { Inject, Injectable } from '@nestjs/common';
import { isStoreRefusal, RepeatedFailures, type Clock, type Logger } from '@sagaz/core';
import { WorkObservers, type Worker } from '../lifecycle/index.js';
import { SAGAZ_CLOCK, SAGAZ_LOGGER } from '../tokens/index.js';

/** The first pause after a refusal, in milliseconds; later ones grow to ten seconds. */
const FIRST_PAUSE_MS = 1_000;

/**
 * Follows the `@Idempotent()` methods whose transactions the store refuses, because of a missing grant for
 * instance. The messages are not at fault. After each refusal there is a pause, in which messages of the
 * method go back to their transport untried; otherwise the refused statement would be repeated for each
 * message of the queue.
 */
@Injectable()
export class IdempotentRefusals implements Worker {
  readonly name = 'idempotent handlers';
  readonly #byConnection = new Map<string, RepeatedFailures>();

  constructor(
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(WorkObservers) private readonly observers: WorkObservers,
  ) {}

  /** Handles a message with `work`, unless others of its method were refused a moment ago. */
  async run<T>(connection: string, method: string, work: () => Promise<T>): Promise<T> {
    const failures = this.#of(connection);
    const what = workOf(method);
    const refusal = failures.of(what);
    if (refusal !== null && refusal.pauseLeftMs > 0) throw refusal.error;
    try {
      const result = await work();
      failures.worked(what);
      return result;
    } catch (error) {
      if (isStoreRefusal(error)) failures.failed(what, error);
      throw error;
    }
  }

  /** The milliseconds in which no message of the method is tried; 0: there is no pause. */
  pauseLeftMs(method: string): number {
    const failing = [...this.#byConnection.values()].map((failures) => failures.of(workOf(method)));
    return Math.max(0, ...failing.map((refusal) => refusal?.pauseLeftMs ?? 0));
  }

  /** The transports that call the methods are started and stopped by Nest. */
  async start(): Promise<void> {
    await Promise.resolve();
  }

  async stop(): Promise<void> {
    await Promise.resolve();
  }

  problem(): string | null {
    for (const { problem } of this.#byConnection.values()) if (problem !== null) return problem;
    return null;
  }

  #of(connection: string): RepeatedFailures {
    const known = this.#byConnection.get(connection);
    if (known !== undefined) return known;
    const failures = new RepeatedFailures({
      clock: this.clock,
      logger: this.logger,
      firstMs: FIRST_PAUSE_MS,
      onFailure: (failure) => this.observers.inboxFailed({ connection, failure }),
    });
    this.#byConnection.set(connection, failures);
    return failures;
  }
}

function workOf(method: string): string {
  return `Handling messages in ${method}`;
}
