import {
  RepeatedFailure,
  TopicAwayError,
  errorMessage,
  storeFailureOf,
  type Broker,
  type Clock,
  type Logger,
  type StoreFailure,
  type SubscribeRequest,
  type Subscription,
  type Timer,
} from '@sagaz/core';
import { BrokerAbsentError } from './broker-absent.error.js';

export interface KeptSubscriptionOptions {
  readonly broker: Broker;
  readonly request: SubscribeRequest;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each try that failed while the broker was there, for metrics. */
  readonly onFailure: (failure: StoreFailure) => void;
}

const AGAIN_MS = 2_000;
/** The pause between tries while the broker is absent. It is short, because such a try sends nothing. */
const LOOK_MS = 500;
/** How long deliveries under way are waited for when a topic is added to the subscription. */
const CHANGE_WITHIN_MS = 5_000;

/**
 * A subscription of one consumer group that is tried again after each failure until it works or is
 * closed. A topic that the broker cannot make ready holds up no other: the group has the messages of the
 * others meanwhile, and its own when it is there. While the broker is absent this class logs nothing, because {@link LateBroker} logs the
 * absence.
 */
export class KeptSubscription {
  readonly #options: KeptSubscriptionOptions;
  readonly #failure: RepeatedFailure;
  #subscription: Subscription | null = null;
  /** The topics of the subscription, which only become more. */
  #topics: readonly string[] = [];
  #problem: string | null = null;
  #retry: Timer | null = null;
  #trying: Promise<void> | null = null;
  #closed = false;

  constructor(options: KeptSubscriptionOptions) {
    const { clock, logger, request, onFailure } = options;
    this.#options = options;
    this.#failure = new RepeatedFailure({
      clock,
      logger,
      what: `Subscribing the group '${request.group}' at the broker`,
      firstMs: AGAIN_MS,
      onFailure,
    });
  }

  get group(): string {
    return this.#options.request.group;
  }

  /** Subscribes in the background. To be called once, this or {@link open}. */
  begin(): void {
    this.#try();
  }

  /**
   * Subscribes and waits for the first try; if the broker is away, tries go on in the background.
   *
   * Rejects with the error of the first try if the broker refused it; then it is not tried again.
   */
  async open(): Promise<void> {
    const first = this.#subscribe();
    this.#trying = first.catch(() => undefined);
    try {
      await first;
    } catch (error) {
      const waits = error instanceof BrokerAbsentError || storeFailureOf(error) === 'away';
      if (!waits) {
        await this.#subscription?.close(0);
        throw error;
      }
      this.#failed(error);
    }
  }

  /**
   * The problem, for readiness; null while the subscription works, or is being made for the first
   * time.
   */
  problem(): string | null {
    return this.#problem ?? this.#subscription?.problem() ?? null;
  }

  /** How many handled messages cannot be removed from the broker, so that they may come once more. */
  stuck(): number {
    return this.#subscription?.stuck?.() ?? 0;
  }

  /**
   * Ends the tries at once, takes no more deliveries, and waits at most `withinMs` for those under
   * way.
   */
  async close(withinMs: number): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    // A try under way cannot be stopped, so a subscription that it still makes is closed below.
    await this.#trying;
    await this.#subscription?.close(withinMs);
  }

  #try(): void {
    this.#trying = this.#subscribe().catch((error: unknown) => {
      this.#failed(error);
    });
  }

  async #subscribe(): Promise<void> {
    const { broker, request } = this.#options;
    const problems = await broker.ensure(request.topics);
    const away = new Set(problems.map(({ topic }) => topic));
    await this.#serve(
      request.topics.filter((topic) => !away.has(topic) || this.#topics.includes(topic)),
    );
    const [first] = problems;
    if (first !== undefined) throw new TopicAwayError(first.topic, broker.name, first.error);
    this.#failure.worked();
    this.#problem = null;
  }

  /** Subscribes to these topics, in place of a subscription to fewer of them. */
  async #serve(topics: readonly string[]): Promise<void> {
    if (topics.length <= this.#topics.length) return;
    const { broker, request } = this.#options;
    const former = this.#subscription;
    this.#subscription = null;
    this.#topics = [];
    await former?.close(CHANGE_WITHIN_MS);
    if (this.#closed) return;
    this.#subscription = await broker.subscribe({ ...request, topics });
    this.#topics = topics;
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    const { clock, request } = this.#options;
    let pauseMs = LOOK_MS;
    if (error instanceof BrokerAbsentError) {
      this.#problem = `The group '${request.group}' gets no messages: ${errorMessage(error)}`;
    } else if (error instanceof TopicAwayError) {
      this.#problem = `The group '${request.group}' gets no messages of a topic: ${errorMessage(error)}`;
      pauseMs = Math.max(AGAIN_MS / 2, this.#failure.failed(error));
    } else {
      const deed = storeFailureOf(error) === 'refused' ? 'refuses' : 'does not accept';
      this.#problem = `The broker ${deed} the subscription of the group '${request.group}': ${errorMessage(error)}`;
      pauseMs = Math.max(AGAIN_MS / 2, this.#failure.failed(error));
    }
    this.#retry = clock.after(pauseMs, () => {
      this.#try();
    });
  }
}
