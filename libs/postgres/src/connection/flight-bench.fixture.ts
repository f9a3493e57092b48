import { CountingProxy } from '@sagaz/test-support';
import type pg from 'pg';
import { PgTransactions, type PgTransaction } from './pg-transaction.js';
import { Prepared } from './prepared.js';
import { SagazPool } from './sagaz-pool.js';

const settings = { applicationName: 'sagaz', connectTimeoutMs: 5_000, statementTimeoutMs: 30_000 };
const logger = { debug() {}, info() {}, warn() {}, error() {} };

export const INSERT = new Prepared('INSERT INTO item (id, n) VALUES ($1, $2)');
export interface FlightWorld {
  /** A database of this test's own, past every pooler. */
  readonly direct: string;
  /** The same as the application reaches it. */
  readonly url: string;
  /** Opens a connection with the version of pg that is tested. */
  connect(config: pg.ClientConfig): Promise<pg.Client>;
}

/** An application that opens and ends its transactions as TypeORM does. */
export class Application {
  constructor(
    readonly client: pg.Client,
    readonly transactions: PgTransactions,
  ) {}

  async begin(level?: string): Promise<void> {
    const texts = ['START TRANSACTION'];
    if (level !== undefined) texts.push(`SET TRANSACTION ISOLATION LEVEL ${level}`);
    for (const text of texts) {
      await this.transactions.control(this.client, 'begin', () => this.client.query(text));
    }
  }

  commit(): Promise<unknown> {
    return this.transactions.control(this.client, 'commit', () => this.client.query('COMMIT'));
  }

  rollBack(): Promise<unknown> {
    return this.transactions.control(this.client, 'rollback', () => this.client.query('ROLLBACK'));
  }

  insert(id: number): Promise<unknown> {
    return this.client.query('INSERT INTO item (id, n) VALUES ($1, 1)', [id]);
  }

  get transaction(): PgTransaction {
    return this.transactions.enlist(this.client);
  }

  /** As the outbox does with its messages. */
  insertAtCommit(id: number, n: unknown = 1): Promise<void> {
    return this.transaction.queryAtCommit(INSERT.with([id, n]));
  }
}

/** An application before a counting proxy, and a client beside it. */
export class FlightBench {
  readonly #close: (() => Promise<unknown>)[] = [];

  private constructor(
    readonly world: FlightWorld,
    readonly proxy: CountingProxy,
  ) {
    this.#close.push(() => proxy.close());
  }

  static async open(world: FlightWorld): Promise<FlightBench> {
    return new FlightBench(world, await CountingProxy.before(world.url));
  }

  async close(): Promise<void> {
    for (const close of this.#close.splice(0).reverse()) await close();
  }

  /** A client past every proxy and pooler. */
  async observer(): Promise<pg.Client> {
    const client = await this.#connect({ connectionString: this.world.direct });
    await client.query('DROP TABLE IF EXISTS item, late');
    await client.query('CREATE TABLE item (id int PRIMARY KEY, n int CHECK (n > 0))');
    return client;
  }

  async application(config: pg.ClientConfig = {}): Promise<Application> {
    const client = await this.#connect({ connectionString: this.proxy.url, ...config });
    const source = { kind: 'url', url: this.world.direct } as const;
    const pool = new SagazPool({ ...settings, source, max: 2, logger });
    this.#close.push(() => pool.end());
    const made = new Application(client, new PgTransactions('postgres', pool));
    // It is asked once for each connection whether it keeps its prepared statements.
    await made.begin();
    await made.transaction.query(INSERT.with([-1, 1]));
    await made.rollBack();
    return made;
  }

  async #connect(config: pg.ClientConfig): Promise<pg.Client> {
    const client = await this.world.connect(config);
    client.on('error', () => undefined);
    this.#close.push(() => client.end());
    return client;
  }
}
