import { BaseRpcContext } from '@nestjs/microservices';
import { HEADERS, type Applied, type InboxAttempt, type InboxUnit } from '@sagaz/core';

/** What a delivery was decoded to, or why it could not be. */
export type Decoded =
  { readonly payload: unknown } | { readonly payload?: undefined; readonly problem: Error };

/**
 * The message a handler works on, besides its payload: `@Ctx() context: MessageContext`.
 */
export class MessageContext extends BaseRpcContext<[InboxAttempt]> {
  readonly #unit: InboxUnit;
  readonly #decoded: Decoded;
  readonly #decodeAgain: () => Promise<Decoded>;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #check: (value: unknown) => Promise<unknown>;

  constructor(
    attempt: InboxAttempt,
    unit: InboxUnit,
    decoded: Decoded,
    decodeAgain: () => Promise<Decoded>,
    check: (value: unknown) => Promise<unknown>,
  ) {
    super([attempt]);
    this.#unit = unit;
    this.#decoded = decoded;
    this.#decodeAgain = decodeAgain;
    // The broker may deliver the very same object again.
    this.#headers = Object.freeze({ ...attempt.message.headers });
    this.#check = check;
  }

  /** The same on every delivery. */
  get id(): string {
    return this.#attempt.message.id;
  }

  /** For example `inventory.reserve`. */
  get type(): string {
    return this.#attempt.message.type;
  }

  get topic(): string {
    return this.#attempt.message.topic;
  }

  /** Messages of one topic and key come one after another, in order. */
  get key(): string {
    return this.#attempt.message.key;
  }

  get tenant(): string {
    return this.#attempt.message.tenant;
  }

  /** The service that sent it. */
  get source(): string {
    return this.#attempt.message.source;
  }

  /** The consumer group that handles it here. */
  get group(): string {
    return this.#attempt.group;
  }

  /** How often it was delivered, from 1, as the broker counts. */
  get attempt(): number {
    return this.#attempt.delivery;
  }

  /** Names are lower-case. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /**
   * Aborted when the time for it is over (`timeout`), when the right to work on the message is lost, and
   * when the process stops. Hand it to whatever takes one: `fetch(url, { signal: context.signal })`.
   */
  get signal(): AbortSignal {
    return this.#attempt.signal;
  }

  /** Whether the message is an event, a command, or the compensation of a command. */
  get role(): 'event' | 'command' | 'compensation' {
    return this.#attempt.role;
  }

  /** The saga that sent it; undefined: none did. */
  get sagaId(): string | undefined {
    return this.headers[HEADERS.sagaId];
  }

  /** The step of the saga that sent it. */
  get step(): string | undefined {
    return this.headers[HEADERS.step];
  }

  /**
   * Makes effects outside of this database happen once: the same for every delivery, every retry of
   * the step, and for the compensation that undoes it. Of an event: the message's id.
   */
  get idempotencyKey(): string {
    return this.headers[HEADERS.idempotencyKey] ?? this.id;
  }

  /**
   * In a compensation: whether this service is known to have carried out the command. `unknown`
   * means that it may never have come, or may have had effects outside of this database: undo those
   * by the idempotency key. Null in every other handler.
   */
  get applied(): Applied | null {
    return this.#attempt.applied;
  }

  /**
   * Used by the interceptor: runs the handler in the message's transaction. One that lost a race runs
   * again, and is given the payload as it came, not what the run before left of it; null: the first run.
   */
  run(
    handler: (again: { readonly payload: unknown } | null) => Promise<unknown>,
  ): Promise<unknown> {
    let first = true;
    return this.#attempt.run(this.#unit, async () => {
      const decoded = first ? this.#decoded : await this.#decodeAgain();
      // Here and not where it was decoded: what fails inside is judged as the message's own fault.
      if ('problem' in decoded) throw decoded.problem;
      const again = first ? null : { payload: decoded.payload };
      first = false;
      return this.#check(await handler(again));
    });
  }

  /** Whether a value is the payload as it was decoded, which nothing in front of the handler replaced. */
  isPayload(value: unknown): boolean {
    return value === this.#decoded.payload;
  }

  get #attempt(): InboxAttempt {
    return this.getArgs()[0];
  }
}
