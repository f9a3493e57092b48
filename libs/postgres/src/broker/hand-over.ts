import { errorMessage, RepeatedFailure, type Clock, type Logger, type Timer } from '@sagaz/core';
import type { SagazPool, SchemaName } from '../connection/index.js';
import type { Membership } from './membership.js';
import { topicLocks } from './publisher.js';

/**
 * How many messages are assigned in one statement. Publishers of the topic wait for the statement, and
 * it must end long before its time limit, on a slow machine too.
 */
const STEP = 10_000;
const AGAIN_MS = 1_000;

/**
 * Assigns to a group, step by step, the messages that were published to its topics before any group had
 * joined them. The consumers work meanwhile, so that the first messages are handled before the last
 * ones are assigned. It ends at once if there are no such messages or another process of the group has
 * assigned them all, and goes on where a process has died.
 */
export class HandOver {
  readonly #pool: SagazPool;
  readonly #schema: SchemaName;
  readonly #clock: Clock;
  readonly #failure: RepeatedFailure;
  readonly #group: string;
  readonly #member: Membership;
  readonly #handedOver: () => void;
  #running: Promise<void> | undefined;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;
  #stopped = false;
  #problem: string | null = null;

  constructor(options: {
    readonly pool: SagazPool;
    readonly schema: SchemaName;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly group: string;
    readonly member: Membership;
    /** Called after each step, since there are new messages to be read. */
    readonly handedOver: () => void;
  }) {
    this.#pool = options.pool;
    this.#schema = options.schema;
    this.#clock = options.clock;
    this.#group = options.group;
    this.#failure = new RepeatedFailure({
      clock: options.clock,
      logger: options.logger,
      what: `Handing over messages to the group '${options.group}'`,
      firstMs: AGAIN_MS,
    });
    this.#member = options.member;
    this.#handedOver = options.handedOver;
  }

  get problem(): string | null {
    return this.#problem;
  }

  start(): void {
    this.#running = this.#run();
  }

  /**
   * Ends after the step under way. The remaining messages are assigned at the next start of the group.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pause?.timer.cancel();
    this.#pause?.end();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const topic of this.#member.unfinished) {
      let after: string | null = '0';
      while (after !== null) {
        if (this.#stopped) return;
        try {
          after = await this.#step(topic, after);
          this.#problem = null;
          this.#failure.worked();
          this.#handedOver();
        } catch (error) {
          await this.#failed(topic, error);
        }
      }
    }
  }

  async #step(topic: string, after: string): Promise<string | null> {
    const { rows } = await this.#pool.query<{ last: string | null }>({
      text: `SELECT ${this.#schema.quoted}.hand_over($1, $2, $3, $4, $5) AS last`,
      values: [this.#member.number, topic, topicLocks([topic])[0], after, STEP],
    });
    return rows[0]?.last ?? null;
  }

  async #failed(topic: string, error: unknown): Promise<void> {
    const reason = errorMessage(error);
    this.#problem = `What lay in the topic '${topic}' before the group '${this.#group}' joined it cannot be handed over: ${reason}`;
    const pauseMs = this.#failure.failed(error);
    if (this.#stopped) return;
    await new Promise<void>((end) => {
      this.#pause = { timer: this.#clock.after(pauseMs, end), end };
    });
  }
}
