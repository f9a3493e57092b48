import type { EngineBeat, EngineRegistry, NewEngine } from '@sagaz/core';
import { beatLimit, type Queryable, type SchemaName } from '../connection/index.js';

/**
 * Heartbeats in PostgreSQL. The registry has a connection of its own, because behind a full pool a
 * living engine would look dead.
 */
export class PgEngineRegistry implements EngineRegistry {
  readonly #on: Queryable;
  readonly #schema: SchemaName;
  /** The limit for the engine that registered last, whose lease all statements here must keep. */
  #limitMs = beatLimit(15_000);

  constructor(on: Queryable, schema: SchemaName) {
    this.#on = on;
    this.#schema = schema;
  }

  async register(engine: NewEngine): Promise<void> {
    this.#limitMs = beatLimit(engine.ttlMs);
    // A repeated registration by the same incarnation (the first answer was lost) counts as a
    // heartbeat.
    await this.#on.query({
      limitMs: this.#limitMs,
      text: `INSERT INTO ${this.#schema.quoted}.engine AS e (incarnation, service, host, pid, ttl_ms, runs, format)
        VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)
        ON CONFLICT (incarnation) DO UPDATE SET beat = e.beat + 1, beat_at = clock_timestamp()`,
      values: [
        engine.incarnation,
        engine.service,
        engine.host,
        engine.pid,
        engine.ttlMs,
        JSON.stringify(Object.fromEntries(engine.runs.map((one) => [one.name, one.versions]))),
        engine.format,
      ],
    });
  }

  async beat(incarnation: string): Promise<boolean> {
    const { rowCount } = await this.#on.query({
      limitMs: this.#limitMs,
      text: `UPDATE ${this.#schema.quoted}.engine SET beat = beat + 1, beat_at = clock_timestamp()
        WHERE incarnation = $1`,
      values: [incarnation],
    });
    return rowCount === 1;
  }

  async observe(): Promise<readonly EngineBeat[]> {
    return (
      await this.#on.query<EngineBeat>({
        limitMs: this.#limitMs,
        text: `SELECT incarnation, beat, ${OVERDUE} AS overdue, ttl_ms AS "ttlMs"
          FROM ${this.#schema.quoted}.engine ORDER BY incarnation`,
      })
    ).rows;
  }

  /**
   * Declares an engine dead by deleting its row. A heartbeat that came since the snapshot is seen, because
   * the conditions are evaluated again on the changed row; one that comes after the delete finds no row. A
   * row that is locked is left for the next watch: a wait for it would hold up the heartbeat of this
   * process, which has the same connection.
   */
  async declareDead(incarnation: string, beat: string): Promise<boolean> {
    const { rowCount } = await this.#on.query({
      limitMs: this.#limitMs,
      text: `DELETE FROM ${this.#schema.quoted}.engine WHERE incarnation IN (
          SELECT incarnation FROM ${this.#schema.quoted}.engine
          WHERE incarnation = $1 AND beat = $2::bigint AND ${OVERDUE} FOR UPDATE SKIP LOCKED
        )`,
      values: [incarnation, beat],
    });
    return rowCount === 1;
  }

  async retire(incarnation: string): Promise<void> {
    await this.#on.query({
      limitMs: this.#limitMs,
      text: `DELETE FROM ${this.#schema.quoted}.engine WHERE incarnation = $1`,
      values: [incarnation],
    });
  }
}

const OVERDUE = "clock_timestamp() > beat_at + ttl_ms * interval '1 millisecond'";
