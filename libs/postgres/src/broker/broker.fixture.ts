import {
  newId,
  systemClock,
  type Broker,
  type Clock,
  type Delivery,
  type Logger,
  type Message,
} from '@sagaz/core';
import { createDatabase, type PostgresServer, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { postgresBroker } from './index.js';

/** By this clock no commit is ever slow. */
export const hasty: Clock = {
  now: () => 0,
  date: () => systemClock.date(),
  after: (ms, fire) => systemClock.after(ms, fire),
};

export const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface FixtureOptions {
  readonly service?: string;
  readonly leaseTtlMs?: number;
  readonly pollIntervalMs?: number;
  readonly clock?: Clock;
}

/** A database with brokers on it, and a client beside them. */
export class BrokerDatabase {
  readonly url: string;
  readonly admin: pg.Client;
  readonly #database: TestDatabase;
  readonly #open: Broker[] = [];

  private constructor(database: TestDatabase) {
    this.#database = database;
    this.url = database.url;
    this.admin = new pg.Client({ connectionString: database.url });
    this.admin.on('error', () => undefined);
  }

  static async open(server: PostgresServer): Promise<BrokerDatabase> {
    const opened = new BrokerDatabase(await createDatabase(server));
    await opened.admin.connect();
    return opened;
  }

  async broker(options: FixtureOptions = {}): Promise<Broker> {
    const made = await brokerOn(this.url, options);
    this.#open.push(made);
    return made;
  }

  async closeBrokers(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((broker) => broker.close()));
  }

  async drop(): Promise<void> {
    await this.admin.end();
    await this.#database.drop();
  }
}

export function brokerOn(
  url: string,
  { service = 'spec', clock = systemClock, ...options }: FixtureOptions = {},
): Promise<Broker> {
  const driver = postgresBroker({ url, migrate: true, ...options });
  return driver.create({ service, logger: quiet, clock });
}

let topics = 0;
export function freshTopic(): string {
  topics += 1;
  return `topic-${String(topics)}`;
}

export function message(topic: string, key: string, extra: Partial<Message> = {}): Message {
  return {
    id: newId(),
    tenant: '',
    topic,
    key,
    type: `${topic}.happened`,
    source: 'spec',
    time: '2026-01-01T00:00:00.000Z',
    contentType: 'application/json',
    payload: Buffer.from('{"a":1}'),
    headers: { 'x-a': 'ä' },
    ...extra,
  };
}

/** Handles everything and hands it out in order. */
export class Inbox {
  readonly deliveries: Delivery[] = [];
  #waiting: (() => void)[] = [];

  readonly handle = (delivery: Delivery): Promise<{ kind: 'done' }> => {
    this.deliveries.push(delivery);
    for (const resolve of this.#waiting.splice(0)) resolve();
    return Promise.resolve({ kind: 'done' });
  };

  async count(n: number): Promise<readonly Delivery[]> {
    while (this.deliveries.length < n) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.deliveries;
  }
}
