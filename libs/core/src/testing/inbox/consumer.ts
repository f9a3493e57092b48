import { systemClock } from '../../clock/index.js';
import {
  InboxProcessor,
  jsonCodec,
  storeUnit,
  type HandledDelivery,
  type InboxAttempt,
  type InboxEvent,
  type InboxHandler,
  type InboxProcessorOptions,
  type InboxUnit,
} from '../../messaging/index.js';
import {
  HEADERS,
  type Delivery,
  type InboxStore,
  type KeptReply,
  type Message,
  type OutboxMessage,
  type Transaction,
} from '../../ports/index.js';
import { freshName } from '../contract-case.js';
import { freshKey, messageOf, type InboxParts } from './inbox-fixture.js';

/** Something that commits and rolls back with the store's transactions, as business data does. */
export interface EffectTable {
  record(text: string, transaction: Transaction): Promise<void>;
  /** The committed records, in the order of recording. */
  recorded(): Promise<readonly string[]>;
}

export interface InboxDeliveryFixture {
  readonly store: InboxParts;
  readonly newStore: () => Promise<InboxParts>;
  readonly effects: EffectTable;
}

export interface HandlerCall {
  readonly attempt: InboxAttempt;
  readonly transaction: Transaction;
  /** Has an effect in the handler's transaction. */
  readonly effect: (text?: string) => Promise<void>;
}

export interface ReceiveOptions {
  /** As the broker counts. Default 1. */
  readonly delivery?: number;
  /** The process that had the message before died. Default false. */
  readonly afterDeath?: boolean;
  readonly signal?: AbortSignal;
  /** A unit of work around the real one. */
  readonly unit?: (real: InboxUnit) => InboxUnit;
  /** The pipeline around the handler. Default: none. */
  readonly pipeline?: (attempt: InboxAttempt, call: () => Promise<unknown>) => Promise<unknown>;
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A reply as its receiver reads it. */
export interface SeenReply {
  readonly topic: string;
  readonly key: string;
  readonly status: KeptReply['status'] | undefined;
  readonly repliesTo: string | undefined;
  readonly causationId: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly body: unknown;
}

/** One process of a consumer group, as the transport of a framework would drive it. */
export class Consumer {
  readonly group: string;
  readonly events: InboxEvent[] = [];
  readonly parts: InboxParts;
  /** How many transactions the handlers' unit of work has opened. */
  units = 0;
  readonly #processor: InboxProcessor;
  readonly #effects: EffectTable;
  readonly #attempts: number;
  readonly #backoffMs: number;
  readonly #blocks: boolean;
  readonly #timeoutMs: number | null;
  readonly #maxCrashes: number;

  constructor(
    fixture: Pick<InboxDeliveryFixture, 'effects'>,
    parts: InboxParts,
    options: Partial<InboxProcessorOptions> & {
      readonly group?: string;
      readonly attempts?: number;
      /** Milliseconds to the first retry. Default 1,000. */
      readonly backoffMs?: number;
      /** Whether a dead letter holds back its key. Default false. */
      readonly blocks?: boolean;
      readonly timeoutMs?: number | null;
      readonly maxCrashes?: number;
      readonly inbox?: InboxStore;
    } = {},
  ) {
    this.parts = parts;
    this.group = options.group ?? freshName('group');
    this.#attempts = options.attempts ?? 3;
    this.#backoffMs = options.backoffMs ?? 1_000;
    this.#blocks = options.blocks ?? false;
    this.#timeoutMs = options.timeoutMs ?? null;
    this.#maxCrashes = options.maxCrashes ?? 3;
    this.#effects = fixture.effects;
    this.#processor = new InboxProcessor({
      inbox: parts.inbox,
      transactions: parts.transactions,
      outbox: { append: (messages, transaction) => this.#append(messages, transaction) },
      service: 'inventory',
      clock: systemClock,
      logger: quiet,
      random: () => 0,
      observer: { ended: (event) => this.events.push(event) },
      ...options,
    });
  }

  get outcomes(): string[] {
    return this.events.map(({ outcome }) => outcome.kind);
  }

  /** Effects of this message that are committed. */
  async effects(message: Message): Promise<string[]> {
    const mine = `effect ${this.group} ${message.id} `;
    return (await this.#effects.recorded())
      .filter((text) => text.startsWith(mine))
      .map((text) => text.slice(mine.length));
  }

  /** Replies to this message's saga that are committed. */
  async replies(message: Message): Promise<SeenReply[]> {
    const replies: SeenReply[] = [];
    for (const text of await this.#effects.recorded()) {
      if (!text.startsWith('{')) continue;
      const reply = JSON.parse(text) as SeenReply;
      if (reply.key === message.headers[HEADERS.sagaId]) replies.push(reply);
    }
    return replies;
  }

  async receive(
    message: Message,
    handle: (call: HandlerCall) => Promise<unknown>,
    options: ReceiveOptions = {},
  ): Promise<HandledDelivery> {
    const delivery: Delivery = {
      message,
      group: this.group,
      attempt: options.delivery ?? 1,
      afterDeath: options.afterDeath ?? false,
      signal: options.signal ?? new AbortController().signal,
    };
    return this.deliver(delivery, handle, options);
  }

  async deliver(
    delivery: Delivery,
    handle: (call: HandlerCall) => Promise<unknown>,
    options: ReceiveOptions = {},
  ): Promise<HandledDelivery> {
    const { message } = delivery;
    const handler: InboxHandler = {
      group: this.group,
      type: message.type,
      retry: {
        attempts: this.#attempts,
        backoffMs: this.#backoffMs,
        factor: 2,
        maxDelayMs: 60_000,
        jitter: 0,
      },
      timeoutMs: this.#timeoutMs,
      maxCrashes: this.#maxCrashes,
      blocks: this.#blocks,
      codec: jsonCodec,
    };
    const real = storeUnit({
      transactions: this.parts.transactions,
      outbox: { appendAtCommit: (messages, transaction) => this.#append(messages, transaction) },
    });
    return this.#processor.receive(delivery, handler, (attempt) => {
      const open: { transaction?: Transaction } = {};
      const counting: InboxUnit = {
        run: (body, last) => {
          this.units += 1;
          return real.run((transaction, publish) => {
            open.transaction = transaction;
            return body(transaction, publish);
          }, last);
        },
      };
      const call = (): Promise<unknown> =>
        attempt.run(options.unit?.(counting) ?? counting, () => {
          const { transaction } = open;
          if (transaction === undefined) throw new Error('The handler runs outside of its unit.');
          return handle({
            attempt,
            transaction,
            effect: (text = 'done') =>
              this.#effects.record(`effect ${this.group} ${message.id} ${text}`, transaction),
          });
        });
      return options.pipeline?.(attempt, call) ?? call();
    });
  }

  async #append(messages: readonly OutboxMessage[], transaction?: Transaction): Promise<void> {
    if (transaction === undefined) throw new Error('A reply must join a transaction.');
    for (const { topic, key, headers, payload } of messages) {
      const reply = {
        topic,
        key,
        status: headers[HEADERS.replyStatus],
        repliesTo: headers[HEADERS.repliesTo],
        causationId: headers[HEADERS.causationId],
        idempotencyKey: headers[HEADERS.idempotencyKey],
        body: jsonCodec.decode(payload) ?? null,
      };
      await this.#effects.record(JSON.stringify(reply), transaction);
    }
  }
}

export function freshEvent(more: Partial<Message> = {}): Message {
  const key = freshName('order');
  return messageOf(freshKey(), { type: 'order.placed', topic: 'order', key, ...more });
}

/** A command of a saga. Give `saga` to have another message about the same step. */
export function freshCommand(
  saga = freshName('saga'),
  headers: Readonly<Record<string, string>> = {},
): Message {
  return messageOf(freshKey(), {
    key: saga,
    headers: {
      [HEADERS.role]: 'command',
      [HEADERS.sagaId]: saga,
      [HEADERS.step]: 'reserve',
      [HEADERS.idempotencyKey]: `${saga}:reserve`,
      [HEADERS.replyTo]: 'orders.replies',
      ...headers,
    },
  });
}

export function freshCompensation(saga: string): Message {
  return freshCommand(saga, { [HEADERS.role]: 'compensation' });
}
