import pg from 'pg';
import { z } from 'zod';
import type { DatabaseName, System } from './system.js';

const NAMES = ['orders', 'inventory', 'payments', 'broker'] as const;

/** Reads what the services wrote, straight from their databases. */
export class Ledger {
  private readonly pools = new Map<DatabaseName, pg.Pool>();

  constructor(system: System) {
    for (const name of NAMES) {
      const pool = new pg.Pool({ connectionString: system.databaseUrl(name), max: 2 });
      pool.on('error', () => undefined);
      this.pools.set(name, pool);
    }
  }

  async read<T>(database: DatabaseName, row: z.ZodType<T>, sql: string): Promise<T[]> {
    const pool = this.pools.get(database);
    if (pool === undefined) throw new Error(`There is no database ${database}.`);
    const { rows } = await pool.query<Record<string, unknown>>(sql);
    return z.array(row).parse(rows);
  }

  async count(database: DatabaseName, sql: string): Promise<number> {
    const [row] = await this.read(database, z.object({ n: z.coerce.number() }), sql);
    return row?.n ?? 0;
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.end()));
  }
}
