import {
  BrokerHealthRecord,
  RepeatedFailure,
  errorText,
  storeFailureOf,
  type Broker,
  type BrokerHealth,
  type Clock,
  type GroupLag,
  type Logger,
  type Message,
  type PublishOutcome,
  type StoreFailure,
  type SubscribeRequest,
  type Subscription,
  type Timer,
  type TopicProblem,
  type UnservedQueue,
} from '@sagaz/core';
import { BrokerAbsentError } from './broker-absent.error.js';

export interface LateBrokerOptions {
  /** The name of the driver. */
  readonly name: string;
  readonly connect: () => Promise<Broker>;
  /** The first try, which has begun already; it may have failed or not been answered yet. */
  readonly first: Promise<Broker>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** When the first try began, by `clock`. */
  readonly since: number;
  /** Called for each try that failed, for metrics. */
  readonly onFailure: (failure: StoreFailure) => void;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 5_000;

/**
 * Takes the place of a broker that this process is not connected to yet, and tries to connect until it
 * succeeds. Until then messages are refused as `unavailable`, so they stay in the outbox and no
 * attempt is counted, and all other calls throw `BrokerAbsentError`. After that all calls go to the
 * broker itself.
 */
export class LateBroker implements Broker {
  readonly name: string;
  // These are set once the broker is connected and has them, because a broker that cannot do that has no
  // such method.
  unserved?: () => Promise<readonly UnservedQueue[]>;
  removeGroup?: (group: string) => Promise<number>;
  readonly #options: LateBrokerOptions;
  readonly #failure: RepeatedFailure;
  readonly #record: BrokerHealthRecord;
  // Timers of `clock` do not keep the process alive, and a process whose only work needs the broker
  // has nothing else that does.
  readonly #alive = setInterval(() => undefined, 60_000);
  #broker: Broker | null = null;
  #lastFailure: { readonly error: unknown } | null = null;
  #retry: Timer | null = null;
  #closed = false;

  constructor(options: LateBrokerOptions) {
    const { clock, logger, name, onFailure } = options;
    this.#options = options;
    this.name = name;
    this.#record = new BrokerHealthRecord(clock);
    this.#failure = new RepeatedFailure({
      clock,
      logger,
      what: `Connecting to the broker ${name}`,
      firstMs: FIRST_PAUSE_MS,
      maxMs: LONGEST_PAUSE_MS,
      onFailure,
    });
    void this.#follow(options.first);
  }

  /**
   * False until the broker is connected: one unacknowledged message per key is safe with every broker.
   */
  get orderedBatches(): boolean {
    return this.#broker?.orderedBatches ?? false;
  }

  /** True until the broker is connected: it has delivered nothing yet. */
  get keepsRetries(): boolean {
    return this.#broker?.keepsRetries ?? true;
  }

  publish(batch: readonly Message[], deadline?: number): Promise<readonly PublishOutcome[]> {
    if (this.#broker !== null) return this.#broker.publish(batch, deadline);
    const error = this.#absent();
    return Promise.resolve(batch.map(() => ({ kind: 'unavailable', error })));
  }

  /** @throws BrokerAbsentError */
  async subscribe(request: SubscribeRequest): Promise<Subscription> {
    return this.#present().subscribe(request);
  }

  /** @throws BrokerAbsentError */
  async ensure(topics: readonly string[]): Promise<readonly TopicProblem[]> {
    return this.#present().ensure(topics);
  }

  /** Down since the first try to connect, until the broker is connected. */
  async health(): Promise<BrokerHealth> {
    if (this.#broker !== null) return this.#broker.health();
    return this.#record.down(this.#absent());
  }

  /** @throws BrokerAbsentError */
  async lag(): Promise<readonly GroupLag[]> {
    return this.#present().lag();
  }

  /**
   * Ends the tries at once. A try under way is not waited for; if it connects, the connection is
   * closed.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    clearInterval(this.#alive);
    await this.#broker?.close();
  }

  async #follow(attempt: Promise<Broker>): Promise<void> {
    const { clock, connect } = this.#options;
    try {
      const broker = await attempt;
      if (this.#closed) await this.#closeUnused(broker);
      else this.#arrived(broker);
    } catch (error) {
      if (this.#closed) return;
      this.#lastFailure = { error };
      const pauseMs = this.#failure.failed(error);
      this.#retry = clock.after(pauseMs, () => void this.#follow(connect()));
    }
  }

  #arrived(broker: Broker): void {
    const { clock, logger, since } = this.#options;
    this.#broker = broker;
    clearInterval(this.#alive);
    if (broker.unserved !== undefined) this.unserved = broker.unserved.bind(broker);
    if (broker.removeGroup !== undefined) this.removeGroup = broker.removeGroup.bind(broker);
    logger.info(`The broker ${this.name} is there; what waited for it goes on.`, {
      waitedS: Math.round((clock.now() - since) / 1_000),
    });
  }

  async #closeUnused(broker: Broker): Promise<void> {
    try {
      await broker.close();
    } catch (error) {
      this.#options.logger.warn('A broker that came while the process ended did not close.', {
        error: errorText(error),
      });
    }
  }

  #present(): Broker {
    if (this.#broker === null) throw this.#absent();
    return this.#broker;
  }

  #absent(): BrokerAbsentError {
    const { clock, since } = this.#options;
    const last = this.#lastFailure;
    // Any other failure than an absence, such as a bad certificate or an old schema, does not pass by
    // itself.
    const failure = last === null || storeFailureOf(last.error) === 'away' ? 'away' : 'refused';
    return new BrokerAbsentError(this.name, failure, clock.now() - since, last?.error);
  }
}
