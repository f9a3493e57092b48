import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger, OutboxStore, WakeUps } from '@sagaz/core';
import type { RowLocks } from '@sagaz/core/testing';
import { createDatabase, type PostgresServer, type TestDatabase } from '@sagaz/test-support';
import { PgTransactions, SagazPool, schemaName } from '../connection/index.js';
import { Migrator } from '../migrations/index.js';
import { PgOutboxStore } from './index.js';

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

const noWakeUps: WakeUps = {
  hint: () => undefined,
  on: () => () => undefined,
  listening: false,
};

/** Outboxes of one database, as several processes would have them. */
export class OutboxDatabase {
  readonly url: string;
  readonly #database: TestDatabase;
  readonly #pools: SagazPool[] = [];

  private constructor(database: TestDatabase) {
    this.#database = database;
    this.url = database.url;
  }

  static async create(
    server: PostgresServer,
    prepare?: (url: string) => Promise<void>,
  ): Promise<OutboxDatabase> {
    const made = new OutboxDatabase(await createDatabase(server));
    await prepare?.(made.url);
    await new Migrator({ pool: made.pool(), schema: 'sagaz', set: 'store' }).migrate();
    return made;
  }

  pool(max = 10): SagazPool {
    const pool = new SagazPool({
      source: { kind: 'url', url: this.url },
      applicationName: 'outbox spec',
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 30_000,
      max,
      logger: quiet,
    });
    this.#pools.push(pool);
    return pool;
  }

  process(max = 10): {
    readonly outbox: OutboxStore;
    readonly transactions: PgTransactions;
    readonly pool: SagazPool;
  } {
    const pool = this.pool(max);
    const transactions = new PgTransactions('outbox spec', pool);
    const parts = { pool, transactions, schema: schemaName('sagaz'), wakeUps: noWakeUps };
    return { outbox: new PgOutboxStore(parts), transactions, pool };
  }

  /** Locks rows as somebody beside Sagaz would, in a transaction of the process. */
  locks({ transactions }: { readonly transactions: PgTransactions }): RowLocks {
    return {
      lockRow: async ({ slot, seq }, transaction) => {
        await transactions.own(transaction).query({
          text: 'SELECT FROM sagaz.message WHERE slot = $1 AND seq = $2 FOR UPDATE',
          values: [slot, seq],
        });
      },
      lockLease: async (slot, transaction) => {
        await transactions.own(transaction).query({
          text: "SELECT FROM sagaz.slot_lease WHERE queue = 'outbox:default' AND slot = $1 FOR UPDATE",
          values: [slot],
        });
      },
    };
  }

  /** No rows, no members, no owners. */
  async empty(): Promise<void> {
    const [pool] = this.#pools;
    await pool?.query({
      text: `WITH rows AS (DELETE FROM sagaz.message), members AS (DELETE FROM sagaz.slot_member)
        UPDATE sagaz.slot_lease
        SET owner = NULL, epoch = 0, version = 0, expires_at = '-infinity', crashes = 0, suspect = NULL
        WHERE owner IS NOT NULL OR version > 0 OR epoch > 0`,
    });
  }

  async drop(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.end()));
    await this.#database.drop();
  }
}

/** The database's clock is the host's. */
export const pass = (ms: number): Promise<void> => sleep(ms);
