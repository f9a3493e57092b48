import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../clock/index.js';
import { NonRetryableError } from '../../errors/index.js';
import {
  InboxProcessor,
  inboxKeyOf,
  jsonCodec,
  LandingWorker,
  storeUnit,
  type HandledDelivery,
  type InboxHandler,
  type LandingBounds,
} from '../../messaging/index.js';
import type { Delivery, Message, Transaction } from '../../ports/index.js';
import { freshName } from '../contract-case.js';
import type { InboxParts } from '../inbox/index.js';
import { randomOf } from '../random/index.js';
import { disturbanceOf, disturbed } from './disturbed-inbox.js';
import { PartitionedLog, PartitionOwner } from './partitioned-log.js';

/** The effect that a handler wrote, in its transaction. */
export interface LandingEffect {
  readonly group: string;
  readonly key: string;
  readonly n: number;
  /** The numbers of the effects of its key that the handler could see. */
  readonly seen: readonly number[];
}

/** The effects of handlers, which commit and roll back with their transactions. */
export interface LandingEffects {
  record(effect: LandingEffect, transaction: Transaction): Promise<void>;
  /** The numbers of the key's effects that the transaction sees. */
  see(group: string, key: string, transaction: Transaction): Promise<readonly number[]>;
  /** Those that are committed. */
  recorded(group: string): Promise<readonly LandingEffect[]>;
}

export interface LandingTrialFixture {
  readonly store: InboxParts;
  readonly newStore: () => Promise<InboxParts>;
  readonly landed: LandingEffects;
}

export interface LandingTrialOptions {
  readonly seed: number;
  /** See {@link LogConsumer.unanswered}. */
  readonly unanswered?: true;
}

export interface LandingTrialResult {
  readonly effects: number;
  readonly landed: number;
  readonly dead: number;
}

const KEYS = 4;
const PARTITIONS = 2;
const PER_KEY = 7;
const DISTURBED_MS = 1_500;
const SETTLES_WITHIN_MS = 60_000;
const CLOSE_MS = 2_000;
const RETRY = { attempts: 40, factor: 1, maxDelayMs: 60, jitter: 1 };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** One process: a part of a log is its own, and it works on the landing queue. */
interface Process {
  readonly worker: LandingWorker;
  readonly owners: PartitionOwner[];
}

/**
 * Messages of a few keys come from a partitioned log to processes that pause, freeze and lose their sessions
 * between any two statements, whose partitions and slots overlap, and whose handlers fail: some are tried again in
 * memory, some land, some become dead letters that hold their keys or let them go on, and an operator replays
 * those. In the end every message has had its effect once, each handler saw those of all lower numbers of its
 * key, no two of a key were blind to each other, and nothing is left over.
 */
export class LandingTrial {
  readonly #fixture: LandingTrialFixture;
  readonly #random: () => number;
  readonly #seed: number;
  readonly #group = freshName('landing');
  readonly #log = new PartitionedLog(PARTITIONS);
  readonly #messages: Message[] = [];
  /** Messages that were dead letters at some time: later ones of their key may have passed them. */
  readonly #died = new Set<string>();
  readonly #blocks: boolean;
  readonly #unanswered: true | undefined;
  /** Now and then the queue is full after a few messages. */
  readonly #bounds: Partial<LandingBounds>;
  #landed = 0;
  #disturbed = true;

  constructor(fixture: LandingTrialFixture, options: LandingTrialOptions) {
    const { seed } = options;
    this.#unanswered = options.unanswered;
    this.#fixture = fixture;
    this.#seed = seed;
    this.#random = randomOf(seed);
    this.#blocks = this.#random() < 0.5;
    this.#bounds = this.#random() < 0.5 ? { softMessages: 2, maxMessages: 4 } : {};
  }

  /** @throws Error that names what was broken, and the seed */
  async run(): Promise<LandingTrialResult> {
    this.#fill();
    const processes = [
      await this.#process(this.#fixture.store),
      await this.#process(await this.#fixture.newStore()),
    ];
    try {
      const until = systemClock.now() + DISTURBED_MS;
      while (systemClock.now() < until) {
        await this.#disturb();
        await pause(40);
      }
      this.#disturbed = false;
      await this.#settle();
    } finally {
      this.#disturbed = false;
      await Promise.all(
        processes.flatMap(({ worker, owners }) => [
          worker.close(CLOSE_MS),
          ...owners.map((owner) => owner.stop()),
        ]),
      );
    }
    const effects = await this.#fixture.landed.recorded(this.#group);
    this.#check(effects);
    return { effects: effects.length, landed: this.#landed, dead: this.#died.size };
  }

  #fill(): void {
    for (let n = 1; n <= PER_KEY; n += 1) {
      for (let key = 0; key < KEYS; key += 1) {
        const message: Message = {
          id: freshName('message'),
          tenant: '',
          source: 'shop',
          topic: 'order',
          key: `key ${String(key)}`,
          type: 'order.changed',
          time: '2026-11-21T10:00:00.000Z',
          contentType: 'application/json',
          payload: new TextEncoder().encode(String(n)),
          headers: {},
        };
        this.#messages.push(message);
        this.#log.append(message, key % PARTITIONS);
      }
    }
  }

  async #process(parts: InboxParts): Promise<Process> {
    const by = disturbanceOf(this.#random, () => this.#disturbed);
    const { inbox, transactions } = disturbed(parts, by);
    const written = (): Promise<void> => Promise.resolve();
    const outbox = { append: written, appendAtCommit: written };
    const processor = new InboxProcessor({
      inbox,
      transactions,
      outbox,
      service: 'trial',
      clock: systemClock,
      logger: quiet,
      random: this.#random,
      keepsRetries: false,
      landAfterMs: 30,
      mayLand: () => worker.mayLand,
      waitMs: 100,
      observer: {
        ended: ({ message, outcome }) => {
          if (outcome.kind === 'buried') this.#died.add(message.id);
          if (outcome.kind === 'landed') this.#landed += 1;
        },
      },
    });
    const unit = storeUnit({ transactions, outbox });
    const handle = async (delivery: Delivery): Promise<HandledDelivery> => {
      const open: { transaction?: Transaction } = {};
      return processor.receive(delivery, this.#handler(), (attempt) =>
        attempt.run(
          {
            run: (body, last) =>
              unit.run((transaction, publish) => {
                open.transaction = transaction;
                return body(transaction, publish);
              }, last),
          },
          () => this.#effect(delivery.message, open.transaction, by.strike),
        ),
      );
    };
    const worker = new LandingWorker({
      group: this.#group,
      keepsRetries: false,
      bounds: this.#bounds,
      measureEveryMs: 20,
      inbox,
      clock: systemClock,
      logger: quiet,
      concurrency: 8,
      handle,
      settings: { leaseTtlMs: 300, pollIntervalMs: 20 },
    });
    await worker.start();
    const consumer = {
      group: this.#group,
      handle: (delivery: Delivery) => worker.receive(delivery),
      ...(this.#unanswered === undefined ? {} : { unanswered: this.#unanswered }),
      land: (deliveries: readonly Delivery[]) => processor.landFollowers(deliveries),
    };
    const owners = Array.from(
      { length: PARTITIONS },
      (_, partition) => new PartitionOwner(this.#log, partition, consumer),
    );
    return { worker, owners };
  }

  #handler(): InboxHandler {
    return {
      group: this.#group,
      type: 'order.changed',
      retry: { ...RETRY, backoffMs: 1 + Math.floor(this.#random() * 60) },
      timeoutMs: null,
      blocks: this.#blocks,
      codec: jsonCodec,
    };
  }

  async #effect(
    { key, payload }: Message,
    transaction: Transaction | undefined,
    strike: () => Promise<void>,
  ): Promise<void> {
    if (transaction === undefined) throw new Error('The handler runs outside of its transaction.');
    const { landed } = this.#fixture;
    const n = Number(new TextDecoder().decode(payload));
    const seen = await landed.see(this.#group, key, transaction);
    await strike();
    if (this.#disturbed && this.#random() < 0.25) throw new Error('a bad day');
    if (this.#disturbed && this.#random() < 0.06) throw new NonRetryableError('never');
    await landed.record({ group: this.#group, key, n, seen }, transaction);
    await strike();
  }

  /** Forgets acknowledgements, and replays dead letters. */
  async #disturb(): Promise<void> {
    if (this.#random() < 0.3) {
      this.#log.rewind(Math.floor(this.#random() * PARTITIONS), Math.ceil(this.#random() * 6));
    }
    if (this.#random() < 0.4) await this.#replay(0.5);
  }

  async #replay(share: number): Promise<number> {
    const { inbox } = this.#fixture.store;
    const letters = await inbox.listDeadLetters({ group: this.#group, limit: 100 });
    for (const { message } of letters) this.#died.add(message.id);
    const some = letters.filter(() => this.#random() < share);
    const keys = some.map(({ message }) => inboxKeyOf(this.#group, message));
    if (keys.length > 0) await inbox.replayDeadLetters(keys);
    return letters.length;
  }

  /** Waits until everything was handled. */
  async #settle(): Promise<void> {
    const { inbox } = this.#fixture.store;
    const queue = await inbox.landingQueue(this.#group);
    const until = systemClock.now() + SETTLES_WITHIN_MS;
    for (;;) {
      const dead = await this.#replay(1);
      const { byStatus } = await queue.stats();
      const left = [...byStatus.values()].reduce((sum, count) => sum + count, 0);
      if (dead === 0 && left === 0 && this.#log.acknowledged) return;
      if (systemClock.now() > until) {
        const waits = [...byStatus].map(([status, count]) => `${status} ${String(count)}`);
        throw this.#broken(
          `left over: ${waits.join(', ')}; acknowledged: ${String(this.#log.acknowledged)}`,
        );
      }
      await pause(20);
    }
  }

  #check(effects: readonly LandingEffect[]): void {
    const died = new Map<string, Set<number>>();
    for (const { id, key, payload } of this.#messages) {
      if (!this.#died.has(id)) continue;
      const numbers = died.get(key) ?? new Set();
      died.set(key, numbers);
      numbers.add(Number(new TextDecoder().decode(payload)));
    }
    for (let at = 0; at < KEYS; at += 1) {
      const key = `key ${String(at)}`;
      const mine = effects.filter((effect) => effect.key === key);
      const gone = died.get(key) ?? new Set<number>();
      for (let n = 1; n <= PER_KEY; n += 1) {
        const count = mine.filter((effect) => effect.n === n).length;
        if (count !== 1)
          throw this.#broken(`${key}: ${String(n)} had its effect ${String(count)} times`);
      }
      for (const { n, seen } of mine) {
        for (let lower = 1; lower < n; lower += 1) {
          // A dead letter that does not block lets the later ones pass it.
          if (seen.includes(lower) || (gone.has(lower) && !this.#blocks)) continue;
          throw this.#broken(`${key}: ${String(n)} did not see ${String(lower)}`);
        }
      }
      for (const one of mine) {
        for (const other of mine) {
          if (one.n >= other.n || one.seen.includes(other.n) || other.seen.includes(one.n))
            continue;
          throw this.#broken(
            `${key}: ${String(one.n)} and ${String(other.n)} did not see each other`,
          );
        }
      }
    }
  }

  #broken(what: string): Error {
    return new Error(
      `Seed ${String(this.#seed)}, dead letters ${this.#blocks ? 'block' : 'skip'}: ${what}`,
    );
  }
}
