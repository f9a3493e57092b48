import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../clock/index.js';
import {
  InboxProcessor,
  jsonCodec,
  LandingWorker,
  storeUnit,
  type HandledDelivery,
  type InboxHandler,
} from '../../messaging/index.js';
import type { Delivery, Transaction } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import { freshEvent } from '../inbox/consumer.js';
import type { LandingTrialFixture } from './landing-trial.js';
import { PartitionedLog, PartitionOwner } from './partitioned-log.js';

const PARTITIONS = 2;
const KEYS = 24;
const PER_KEY = 5;
/** The breaker may open from so many landed messages on. */
const SOFT = 12;
/** The most messages that are under way when the breaker opens: those in the memory of the owners. */
const UNDER_WAY = 2 * 8;
const WITHIN_MS = 30_000;
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** One process that consumes a log while what its handlers need is away. */
class Outage {
  readonly group = freshName('landing');
  readonly log = new PartitionedLog(PARTITIONS);
  readonly worker: LandingWorker;
  readonly #fixture: LandingTrialFixture;
  readonly #processor: InboxProcessor;
  readonly #owners: PartitionOwner[] = [];
  away = true;
  /** How many messages waited when the landing queue was measured last. */
  measured = 0;
  /** How often a handler was called, trials of the open breaker left out. */
  calls = 0;
  /** How often a message was tried while the breaker was open. */
  trials = 0;

  constructor(fixture: LandingTrialFixture) {
    this.#fixture = fixture;
    const { inbox, transactions } = fixture.store;
    const written = (): Promise<void> => Promise.resolve();
    const outbox = { append: written, appendAtCommit: written };
    this.#processor = new InboxProcessor({
      inbox,
      transactions,
      outbox,
      service: 'trial',
      clock: systemClock,
      logger: quiet,
      keepsRetries: false,
      landAfterMs: 0,
      mayLand: () => this.worker.mayLand,
    });
    this.worker = new LandingWorker({
      group: this.group,
      inbox: {
        landingQueue: (group) => inbox.landingQueue(group),
        landedSize: async (group, most) => {
          const size = await inbox.landedSize(group, most);
          this.measured = size.messages;
          return size;
        },
      },
      clock: systemClock,
      logger: quiet,
      concurrency: 8,
      keepsRetries: false,
      bounds: { softMessages: SOFT },
      measureEveryMs: 5,
      handle: (delivery) => this.#handle(delivery),
      settings: { pollIntervalMs: 20 },
    });
  }

  /** Publishes messages of keys with the prefix, so many of each. */
  publish(prefix: string, perKey: number): void {
    for (let n = 1; n <= perKey; n += 1) {
      for (let key = 0; key < KEYS; key += 1) {
        const payload = new TextEncoder().encode(String(n));
        const message = freshEvent({ key: `${prefix} ${String(key)}`, payload });
        this.log.append(message, key % PARTITIONS);
      }
    }
  }

  async start(): Promise<void> {
    await this.worker.start();
    const consumer = {
      group: this.group,
      handle: (delivery: Delivery) => this.worker.receive(delivery),
      land: (deliveries: readonly Delivery[]) => this.#processor.landFollowers(deliveries),
    };
    for (let partition = 0; partition < PARTITIONS; partition += 1) {
      this.#owners.push(new PartitionOwner(this.log, partition, consumer));
    }
  }

  async stop(): Promise<void> {
    const owners = this.#owners.map((owner) => owner.stop());
    await this.worker.close(WITHIN_MS);
    await Promise.all(owners);
  }

  /** How many messages of the log are acknowledged. */
  get acknowledged(): number {
    let sum = 0;
    for (let at = 0; at < PARTITIONS; at += 1) sum += this.log.read(at).from;
    return sum;
  }

  async waiting(): Promise<number> {
    return (await this.#fixture.store.inbox.landedSize(this.group, 1_000)).messages;
  }

  #handle(delivery: Delivery): Promise<HandledDelivery> {
    const { transactions } = this.#fixture.store;
    const written = (): Promise<void> => Promise.resolve();
    const unit = storeUnit({ transactions, outbox: { appendAtCommit: written } });
    const handler: InboxHandler = {
      group: this.group,
      type: delivery.message.type,
      retry: { attempts: 6, backoffMs: 400, factor: 2, maxDelayMs: 60_000, jitter: 0 },
      timeoutMs: null,
      codec: jsonCodec,
    };
    return this.#processor.receive(delivery, handler, (attempt) => {
      const open: { transaction?: Transaction } = {};
      return attempt.run(
        {
          run: (body, last) =>
            unit.run((transaction, publish) => {
              open.transaction = transaction;
              return body(transaction, publish);
            }, last),
        },
        () => this.#effect(delivery, open.transaction),
      );
    });
  }

  async #effect({ message, trial }: Delivery, transaction: Transaction | undefined): Promise<void> {
    assert.ok(transaction !== undefined, 'The handler runs outside of its transaction.');
    if (trial?.counts === false) this.trials += 1;
    else this.calls += 1;
    if (this.away) throw new Error('the payment provider is away');
    const { key, payload } = message;
    const { landed } = this.#fixture;
    const seen = await landed.see(this.group, key, transaction);
    const n = Number(new TextDecoder().decode(payload));
    await landed.record({ group: this.group, key, n, seen }, transaction);
  }
}

async function until(done: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = systemClock.now() + WITHIN_MS;
  while (!(await done())) {
    assert.ok(systemClock.now() < end, what);
    await pause(5);
  }
}

/** What becomes of a group whose handlers all fail for a while. */
export const landingOutageCases: readonly ContractCase<LandingTrialFixture>[] = [
  {
    name: 'while everything fails the log keeps its backlog, and afterwards each message has its effect once, in order',
    guards:
      'An hour of failures would move the backlog into the service’s database, and make dead letters of it.',
    async run(fixture) {
      const outage = new Outage(fixture);
      await outage.start();
      try {
        outage.publish('early', 1);
        await until(() => outage.measured >= SOFT, 'messages should land');
        outage.publish('late', PER_KEY);
        await until(() => outage.worker.state.open, 'the breaker should be open');
        const { calls, acknowledged } = outage;
        // The trials of the first seconds; whatever was under way when the breaker opened has ended by then.
        await until(() => outage.trials > 1, 'messages should be tried');
        assert.ok(outage.worker.state.open);
        assert.match(outage.worker.problem ?? '', /breaker/);
        assert.ok(outage.calls <= calls + UNDER_WAY, `${outage.calls - calls} calls`);
        const landed = await outage.waiting();
        assert.ok(landed <= KEYS + 2 * UNDER_WAY, `${landed} messages have landed`);
        assert.ok(!outage.log.acknowledged && outage.acknowledged <= acknowledged + UNDER_WAY);
        outage.away = false;
        const ended = async (): Promise<boolean> =>
          outage.log.acknowledged && (await outage.waiting()) === 0;
        await until(ended, 'everything should be handled');
      } finally {
        outage.away = false;
        await outage.stop();
      }
      const { group } = outage;
      assert.deepEqual(await fixture.store.inbox.listDeadLetters({ group }), []);
      const effects = await fixture.landed.recorded(group);
      assert.equal(effects.length, KEYS * (PER_KEY + 1));
      for (const { key, n, seen } of effects) {
        assert.equal(seen.length, n - 1, `${key}: ${String(n)} saw ${seen.join()}`);
      }
    },
  },
];
