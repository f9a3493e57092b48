import type pg from 'pg';
import { BROKER_SCHEMA, ORDERS_SCHEMA, STOCK_SCHEMA } from './schema.js';

/** Whether no work is left, for this process or any other. */
export async function settled(pool: pg.Pool, sagas: number): Promise<boolean> {
  const { rows } = await pool.query<{ settled: boolean }>(
    `SELECT (SELECT count(*) FROM ${ORDERS_SCHEMA}.saga_all
        WHERE status IN ('completed', 'compensated', 'needs_attention')) = $1
      AND NOT EXISTS (SELECT FROM ${ORDERS_SCHEMA}.message WHERE lane <> 5)
      AND NOT EXISTS (SELECT FROM ${STOCK_SCHEMA}.message WHERE lane <> 5)
      AND NOT EXISTS (SELECT FROM ${BROKER_SCHEMA}.message WHERE lane <> 5) AS settled`,
    [sagas],
  );
  return rows[0]?.settled === true;
}
