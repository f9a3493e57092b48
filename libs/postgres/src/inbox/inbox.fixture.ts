import type { InboxParts } from '@sagaz/core/testing';
import { PgTransactions, SagazPool, schemaName } from '../connection/index.js';
import { Migrator } from '../migrations/index.js';
import { PgInboxStore } from './pg-inbox-store.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const schema = schemaName('sagaz');

/** A database with the schema in it, and stores onto it, each with connections of its own. */
export class InboxDatabase {
  readonly url: string;
  readonly #pools: SagazPool[] = [];
  readonly #stores: (InboxParts & { readonly pool: SagazPool })[] = [];

  private constructor(url: string) {
    this.url = url;
  }

  static async open(url: string): Promise<InboxDatabase> {
    const database = new InboxDatabase(url);
    const pool = database.newPool();
    await new Migrator({ pool, schema: 'sagaz', set: 'store' }).migrate();
    return database;
  }

  newPool(): SagazPool {
    const pool = new SagazPool({
      source: { kind: 'url', url: this.url },
      applicationName: 'inbox spec',
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 30_000,
      max: 12,
      logger: quiet,
    });
    this.#pools.push(pool);
    return pool;
  }

  newStore(): InboxParts & { readonly pool: SagazPool } {
    const pool = this.newPool();
    const transactions = new PgTransactions('postgres', pool);
    return { pool, transactions, inbox: new PgInboxStore({ pool, transactions, schema }) };
  }

  /** The two stores that serve all cases of a contract: one each for two processes. */
  store(process: 0 | 1): InboxParts & { readonly pool: SagazPool } {
    return (this.#stores[process] ??= this.newStore());
  }

  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()));
  }
}
