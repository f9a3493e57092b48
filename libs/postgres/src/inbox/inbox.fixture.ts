import type { Transaction } from '@sagaz/core';
import type { EffectTable, InboxParts, LandingEffects } from '@sagaz/core/testing';
import { createDatabase, type PostgresServer, type TestDatabase } from '@sagaz/test-support';
import { PgTransactions, SagazPool, schemaName } from '../connection/index.js';
import { Migrator } from '../migrations/index.js';
import { PgInboxStore } from './pg-inbox-store.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const schema = schemaName('sagaz');

interface PgInboxParts extends InboxParts {
  readonly pool: SagazPool;
  readonly transactions: PgTransactions;
}

/** A fresh database with the schema in it, and stores onto it, each with connections of its own. */
export class InboxDatabase {
  readonly url: string;
  readonly #database: TestDatabase;
  readonly #pools: SagazPool[] = [];
  readonly #stores = new Map<number, PgInboxParts>();

  private constructor(database: TestDatabase) {
    this.#database = database;
    this.url = database.url;
  }

  static async open(
    server: PostgresServer,
    prepare?: (url: string) => Promise<void>,
  ): Promise<InboxDatabase> {
    const database = new InboxDatabase(await createDatabase(server));
    await prepare?.(database.url);
    const pool = database.newPool();
    await new Migrator({ pool, schema: 'sagaz', set: 'store' }).migrate();
    await pool.query({
      text: 'CREATE TABLE public.effect (place bigserial PRIMARY KEY, entry json NOT NULL)',
    });
    await pool.query({
      text: 'CREATE TABLE public.landed (group_name text, key text, n integer, seen text)',
    });
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

  newStore(): PgInboxParts {
    const pool = this.newPool();
    const transactions = new PgTransactions('postgres', pool);
    return { pool, transactions, inbox: new PgInboxStore({ pool, transactions, schema }) };
  }

  /** The two stores that serve all cases of a contract: one each for two processes. */
  store(process: 0 | 1): PgInboxParts {
    const known = this.#stores.get(process) ?? this.newStore();
    this.#stores.set(process, known);
    return known;
  }

  /** Business data: written through whatever transaction of whatever store. */
  get effects(): EffectTable {
    const { pool, transactions } = this.store(0);
    return {
      record: async (text: string, transaction: Transaction) => {
        await transactions.own(transaction).query({
          text: 'INSERT INTO public.effect (entry) VALUES ($1)',
          values: [JSON.stringify(text)],
        });
      },
      recorded: async () => {
        const { rows } = await pool.query<{ entry: string }>({
          text: 'SELECT entry::text AS entry FROM public.effect ORDER BY place',
        });
        return rows.map(({ entry }) => JSON.parse(entry) as string);
      },
    };
  }

  /** Writes and reads the effects that the handlers of landing trials have. */
  get landed(): LandingEffects {
    const { pool, transactions } = this.store(0);
    return {
      record: async ({ group, key, n, seen }, transaction) => {
        await transactions.own(transaction).query({
          text: 'INSERT INTO public.landed VALUES ($1, $2, $3, $4)',
          values: [group, key, n, JSON.stringify(seen)],
        });
      },
      see: async (group, key, transaction) => {
        const { rows } = await transactions.own(transaction).query<{ n: number }>({
          text: 'SELECT n FROM public.landed WHERE group_name = $1 AND key = $2',
          values: [group, key],
        });
        return rows.map(({ n }) => n);
      },
      recorded: async (group) => {
        const { rows } = await pool.query<{ key: string; n: number; seen: string }>({
          text: 'SELECT key, n, seen FROM public.landed WHERE group_name = $1',
          values: [group],
        });
        return rows.map(({ key, n, seen }) => ({
          group,
          key,
          n,
          seen: JSON.parse(seen) as number[],
        }));
      },
    };
  }

  /** Ends the stores' connections and removes the database. */
  async drop(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()));
    await this.#database.drop();
  }
}
