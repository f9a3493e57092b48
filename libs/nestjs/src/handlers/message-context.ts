import { BaseRpcContext } from '@nestjs/microservices';
import { HEADERS, type Applied, type InboxAttempt, type InboxUnit } from '@sagaz/core';
import { withoutCommands } from './without-commands.js';

/** The decoded payload of a delivery, or the reason why it cannot be decoded. */
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
    // The headers are copied, because the broker may deliver the very same object again.
    this.#headers = Object.freeze({ ...attempt.message.headers });
    this.#check = check;
  }

  /** The id of the message, the same on every delivery. */
  get id(): string {
    return this.#attempt.message.id;
  }

  /** The type of the message, for example `inventory.reserve`. */
  get type(): string {
    return this.#attempt.message.type;
  }

  get topic(): string {
    return this.#attempt.message.topic;
  }

  /** The key of the message. Messages of one topic and key are handled one after another, in order. */
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

  /** How often the message was delivered, from 1, as the broker counts. */
  get attempt(): number {
    return this.#attempt.delivery;
  }

  /** The headers of the message; their names are in lower case. */
  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /**
   * The schema of the payload, as its sender names it (CloudEvents `dataschema`, the option `dataSchema` of
   * its contract); undefined: it names none.
   */
  get dataSchema(): string | undefined {
    return this.headers[HEADERS.dataSchema];
  }

  /**
   * Aborted when the time limit of the handler is over (`timeout`), when the right to work on the
   * message is lost, and when the process stops. Pass it to calls that take a signal: `fetch(url, {
   * signal: context.signal })`.
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
   * A key by which effects outside of this database can be made to happen once. It is the same for
   * every delivery, every retry of the step, and the compensation that undoes it. For an event it is
   * the id of the message.
   */
  get idempotencyKey(): string {
    return this.headers[HEADERS.idempotencyKey] ?? this.id;
  }

  /**
   * In a compensation: whether this service is known to have carried out the command. `unknown` means
   * that the command may never have arrived, or may have had effects outside of this database; undo
   * those by the idempotency key. Null in every other handler.
   */
  get applied(): Applied | null {
    return this.#attempt.applied;
  }

  /**
   * Runs the handler in the message's transaction; used by the interceptor. A handler that lost a race
   * runs again with the payload as it arrived, without the changes of the run before; `again` is null
   * in the first run.
   */
  run(
    handler: (again: { readonly payload: unknown } | null) => Promise<unknown>,
  ): Promise<unknown> {
    let first = true;
    return this.#attempt.run(this.#unit, async () => {
      const decoded = first ? this.#decoded : await this.#decodeAgain();
      // Thrown here and not where the payload was decoded, because an error inside the attempt counts
      // as a fault of the message.
      if ('problem' in decoded) throw decoded.problem;
      const again = first ? null : { payload: decoded.payload };
      first = false;
      return this.#check(await withoutCommands(this.type, () => handler(again)));
    });
  }

  /** Whether a value is the decoded payload itself, so that no interceptor or pipe has replaced it. */
  isPayload(value: unknown): boolean {
    return value === this.#decoded.payload;
  }

  get #attempt(): InboxAttempt {
    return this.getArgs()[0];
  }
}
