import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../clock/index.js';
import {
  InboxProcessor,
  jsonCodec,
  LandingWorker,
  Relay,
  storeUnit,
  whileExtended,
  type InboxHandler,
} from '../../messaging/index.js';
import type {
  Delivery,
  Message,
  OutboxMessage,
  OutboxStore,
  Subscription,
  Transaction,
} from '../../ports/index.js';
import { freshName } from '../contract-case.js';
import type { InboxParts } from '../inbox/index.js';
import { disturbed, type LandingEffect, type LandingEffects } from '../landing/index.js';
import { LogBroker } from './log-broker.js';
import { LogServer } from './log-server.js';

/** The store of a service: what its consumers and its relay need of it. */
export interface LogTrialStore extends InboxParts {
  readonly outbox: OutboxStore;
}

export interface LogTrialFixture {
  readonly store: LogTrialStore;
  readonly newStore: () => Promise<LogTrialStore>;
  readonly landed: LandingEffects;
}

/** A call of the handler, within its transaction and before its effect is written. */
export interface LogTrialCall {
  readonly key: string;
  readonly n: number;
  /** The number of the process that handles the message, from 0. */
  readonly process: number;
}

/** A process of the service: a client of the broker, and what handles its deliveries. */
interface Process {
  readonly broker: LogBroker;
  readonly subscription: Subscription;
  readonly worker: LandingWorker;
  /** The process is gone: every call of its store fails. */
  dead: boolean;
}

export const LOG_KEYS = 6;
export const LOG_PER_KEY = 8;
const PARTITIONS = 3;
const SETTLES_WITHIN_MS = 60_000;
const CLOSE_MS = 5_000;
const LEASE_MS = 1_000;
const POLL_MS = 20;
/** Longer than `LAND_AFTER_MS`, so that a message that fails goes into the landing queue. */
const RETRY = { attempts: 1_000, backoffMs: 60, factor: 1, maxDelayMs: 60, jitter: 0 };
const LAND_AFTER_MS = 30;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * A service end to end over a log that is cut into partitions: messages go from an outbox through a relay to the
 * log, and from there to processes whose handlers have their effects in transactions of the store.
 */
export class LogTrial {
  readonly server = new LogServer({ clock: systemClock, partitions: PARTITIONS });
  readonly group = freshName('group');
  readonly topic: string;
  readonly #fixture: LogTrialFixture;
  readonly #call: (call: LogTrialCall) => Promise<void>;
  readonly #commitAfterMs: number;
  readonly #drainMs: number;
  readonly #processes: Process[] = [];
  #relay: { readonly relay: Relay; readonly broker: LogBroker } | null = null;

  constructor(
    fixture: LogTrialFixture,
    options: {
      /** Called for each handling; it may take its time, or throw. */
      readonly call: (call: LogTrialCall) => Promise<void>;
      readonly commitAfterMs?: number;
      readonly drainMs?: number;
    },
  ) {
    this.#fixture = fixture;
    this.topic = this.#spreadTopic();
    this.#call = options.call;
    this.#commitAfterMs = options.commitAfterMs ?? 20;
    this.#drainMs = options.drainMs ?? 10_000;
  }

  /** Writes the messages of some numbers of every key to the outbox, in order. */
  async write(from: number, to: number): Promise<void> {
    const messages: OutboxMessage[] = [];
    for (let n = from; n <= to; n += 1) {
      for (let key = 0; key < LOG_KEYS; key += 1) messages.push(this.#message(`key ${key}`, n));
    }
    await this.#fixture.store.outbox.append(messages);
  }

  /** Starts the relay. */
  async startRelay(): Promise<void> {
    const broker = this.#broker();
    const relay = new Relay({
      outbox: this.#fixture.store.outbox,
      broker,
      clock: systemClock,
      logger: quiet,
      replyMail: () => {
        throw new Error('No message here is a command.');
      },
      settings: { pollIntervalMs: POLL_MS },
    });
    this.#relay = { relay, broker };
    await relay.start();
  }

  /** Starts one more process of the service. */
  async startProcess(): Promise<Process> {
    const number = this.#processes.length;
    const own = number === 0 ? this.#fixture.store : await this.#fixture.newStore();
    const alive = { dead: false };
    const { inbox, transactions } = disturbed(own, {
      strike: () =>
        alive.dead ? Promise.reject(new Error('The process died.')) : Promise.resolve(),
      losesAnswer: () => false,
    });
    const broker = this.#broker();
    const unwritten = (): Promise<void> => Promise.resolve();
    const outbox = { append: unwritten, appendAtCommit: unwritten };
    const processor = new InboxProcessor({
      inbox,
      transactions,
      outbox,
      service: 'trial',
      clock: systemClock,
      logger: quiet,
      keepsRetries: broker.keepsRetries,
      landAfterMs: LAND_AFTER_MS,
      waitMs: 100,
    });
    const unit = storeUnit({ transactions, outbox });
    const handle = (delivery: Delivery) => {
      const open: { transaction?: Transaction } = {};
      const work = () =>
        processor.receive(delivery, this.#handler(), (attempt) =>
          attempt.run(
            {
              run: (body, last) =>
                unit.run((transaction, publish) => {
                  open.transaction = transaction;
                  return body(transaction, publish);
                }, last),
            },
            () => this.#effect(delivery.message, number, open.transaction),
          ),
        );
      return whileExtended(delivery, work, { clock: systemClock, logger: quiet });
    };
    const worker = new LandingWorker({
      group: this.group,
      inbox,
      clock: systemClock,
      logger: quiet,
      concurrency: 8,
      handle,
      settings: { leaseTtlMs: LEASE_MS, pollIntervalMs: POLL_MS },
    });
    await worker.start();
    assert.deepEqual(await broker.ensure([this.topic]), []);
    const subscription = await broker.subscribe({
      group: this.group,
      topics: [this.topic],
      concurrency: 8,
      timeoutMs: null,
      handle,
      land: (deliveries) => processor.landFollowers(deliveries),
    });
    const process = Object.assign(alive, { broker, subscription, worker });
    this.#processes.push(process);
    return process;
  }

  /** The process dies: its transactions roll back, and its partitions go to others from what it had acknowledged. */
  async kill(process: Process): Promise<void> {
    process.dead = true;
    await process.broker.die();
  }

  /** The effects that are committed. */
  effects(): Promise<readonly LandingEffect[]> {
    return this.#fixture.landed.recorded(this.group);
  }

  /** Waits for something that comes by itself. */
  async until(what: string, ready: () => boolean | Promise<boolean>): Promise<void> {
    const end = systemClock.now() + SETTLES_WITHIN_MS;
    while (!(await ready())) {
      if (systemClock.now() > end) throw new Error(`Waited in vain until ${what}.`);
      await pause(5);
    }
  }

  /** Waits until everything is published, and all but dead letters is handled. */
  async settle(): Promise<void> {
    const { outbox, inbox } = this.#fixture.store;
    const queue = await inbox.landingQueue(this.group);
    await this.until('everything was handled', async () => {
      if ((await sum(outbox)) > 0 || !this.server.acknowledged(this.group)) return false;
      return (await sum(queue, 'dead_letter')) === 0;
    });
  }

  /** The dead letters of the group. */
  deadLetters() {
    return this.#fixture.store.inbox.listDeadLetters({ group: this.group, limit: 100 });
  }

  get store(): LogTrialStore {
    return this.#fixture.store;
  }

  /**
   * Every message had its effect once, and each saw those before it in its key; but for `late` messages, which
   * may have come after later ones.
   */
  async check(to: number, late: ReadonlySet<string> = new Set()): Promise<void> {
    const effects = await this.effects();
    for (let at = 0; at < LOG_KEYS; at += 1) {
      const key = `key ${at}`;
      const mine = effects.filter((effect) => effect.key === key);
      const numbers = mine.map(({ n }) => n).sort((a, b) => a - b);
      assert.deepEqual(
        numbers,
        Array.from({ length: to }, (_, n) => n + 1),
        `the effects of ${key}`,
      );
      for (const { n, seen } of mine) {
        for (let lower = 1; lower < n; lower += 1) {
          const sees = seen.includes(lower) || late.has(`${key}:${lower}`);
          assert.ok(sees, `${key}: ${n} did not see ${lower}`);
        }
      }
    }
  }

  async close(): Promise<void> {
    await this.#relay?.relay.close(CLOSE_MS);
    await this.#relay?.broker.close();
    await Promise.all(
      this.#processes.map(async ({ broker, worker }) => {
        await Promise.all([broker.close(), worker.close(CLOSE_MS)]);
      }),
    );
  }

  /** A topic in which every partition has keys, and that of the first key has others too. */
  #spreadTopic(): string {
    for (;;) {
      const topic = freshName('topic');
      const [first, ...others] = Array.from(
        { length: LOG_KEYS },
        (_, key) => this.server.partitionOf({ tenant: '', topic, key: `key ${key}` }).number,
      );
      const shared = first !== undefined && others.includes(first);
      if (shared && new Set(others).size === PARTITIONS) return topic;
    }
  }

  #broker(): LogBroker {
    return new LogBroker({
      server: this.server,
      clock: systemClock,
      commitAfterMs: this.#commitAfterMs,
      drainMs: this.#drainMs,
    });
  }

  #message(key: string, n: number): OutboxMessage {
    return {
      id: freshName('message'),
      tenant: '',
      source: 'shop',
      topic: this.topic,
      key,
      type: 'order.changed',
      time: '2026-11-21T10:00:00.000Z',
      contentType: 'application/json',
      payload: new TextEncoder().encode(String(n)),
      headers: {},
      ordered: true,
      delayMs: 0,
    };
  }

  #handler(): InboxHandler {
    return {
      group: this.group,
      type: 'order.changed',
      retry: RETRY,
      timeoutMs: null,
      blocks: false,
      codec: jsonCodec,
    };
  }

  async #effect(
    { key, payload }: Message,
    process: number,
    transaction: Transaction | undefined,
  ): Promise<void> {
    if (transaction === undefined) throw new Error('The handler runs outside of its transaction.');
    const { landed } = this.#fixture;
    const n = Number(new TextDecoder().decode(payload));
    const seen = await landed.see(this.group, key, transaction);
    await this.#call({ key, n, process });
    await landed.record({ group: this.group, key, n, seen }, transaction);
  }
}

/** How many messages a queue has, but for those of one status. */
async function sum(queue: Pick<OutboxStore, 'stats'>, except?: 'dead_letter'): Promise<number> {
  const { byStatus } = await queue.stats();
  return [...byStatus].reduce((all, [status, count]) => all + (status === except ? 0 : count), 0);
}
