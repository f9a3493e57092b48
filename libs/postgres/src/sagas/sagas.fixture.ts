import { randomUUID } from 'node:crypto';
import {
  LockTimeoutError,
  newId,
  type ClaimRequest,
  type JournalEntry,
  type LoadedSaga,
  type Mail,
  type NewSaga,
  type OutboxMessage,
  type SagaTransition,
  type SettledOutcome,
  type WakeChannel,
} from '@sagaz/core';
import { createDatabase, type PostgresServer } from '@sagaz/test-support';
import pg from 'pg';
import { PgTransactions, SagazPool, schemaName } from '../connection/index.js';
import { PgEngineRegistry } from '../engines/index.js';
import { Migrator } from '../migrations/index.js';
import { PgSagaStore } from './pg-saga-store.js';

export const quiet = { debug() {}, info() {}, warn() {}, error() {} };
export const schema = schemaName('sagaz');
export const entry = (kind: string, data: string | null = null): JournalEntry => ({
  kind,
  step: null,
  item: null,
  attempt: 0,
  data,
});

export function message(text = 'hello'): OutboxMessage {
  return {
    id: newId(),
    tenant: '',
    topic: 'inventory',
    key: 'k',
    type: 'inventory.reserve',
    source: 'orders',
    time: '2026-01-01T00:00:00.000Z',
    contentType: 'application/json',
    payload: new TextEncoder().encode(text),
    headers: { a: 'b' },
    ordered: true,
    delayMs: 0,
  };
}

export function newSaga(change: Partial<NewSaga> = {}): NewSaga {
  return {
    id: newId(),
    tenant: '',
    name: 'place-order',
    version: 1,
    format: 1,
    key: null,
    inputDigest: 'digest',
    status: 'running',
    owner: null,
    wakeInMs: 0,
    deadlineInMs: null,
    transitionId: randomUUID(),
    entries: [entry('started', '{"order":1}')],
    messages: [],
    ...change,
  };
}

export function transition(
  saga: { id: string },
  owner: string,
  change: Partial<SagaTransition> = {},
): SagaTransition {
  return {
    id: randomUUID(),
    sagaId: saga.id,
    owner,
    epoch: 1,
    revision: 0,
    status: 'running',
    ownership: { kind: 'keep' },
    entries: [entry('step')],
    messages: [],
    consumedMail: [],
    mail: [],
    sagas: [],
    becomes: null,
    ...change,
  };
}

/** A database with the tables, a store on it, and what specs ask of them. */
export async function openSagas(server: PostgresServer, prepare?: (url: string) => Promise<void>) {
  const db = await createDatabase(server);
  await prepare?.(db.url);
  const openPool = (url = db.url): SagazPool =>
    new SagazPool({
      source: { kind: 'url', url },
      applicationName: 'saga store spec',
      connectTimeoutMs: 5_000,
      statementTimeoutMs: 30_000,
      max: 10,
      logger: quiet,
    });
  const pool = openPool();
  await new Migrator({ pool, schema: 'sagaz', set: 'store' }).migrate();
  const transactions = new PgTransactions('postgres', pool);
  const hints: [WakeChannel, string | undefined][] = [];
  const wakeUps = {
    hint: (channel: WakeChannel, detail?: string) => {
      hints.push([channel, detail]);
    },
  };
  const store = new PgSagaStore({ pool, transactions, schema, wakeUps, logger: quiet });
  const engines = new PgEngineRegistry(pool, schema);
  return {
    db,
    pool,
    transactions,
    store,
    engines,
    hints,
    /** A store on a pool of its own, as another process would have; the caller ends the pool. */
    another(url?: string) {
      const its = openPool(url);
      const own = new PgTransactions('postgres', its);
      const parts = { pool: its, transactions: own, schema, wakeUps, logger: quiet };
      return { pool: its, transactions: own, store: new PgSagaStore(parts) };
    },
    async client(): Promise<pg.Client> {
      const one = new pg.Client({ connectionString: db.url });
      one.on('error', () => undefined);
      await one.connect();
      return one;
    },
    async outboxOf(text: string): Promise<number> {
      const { rows } = await pool.query<{ n: string }>({
        text: 'SELECT count(*) AS n FROM sagaz.message WHERE payload = $1',
        values: [Buffer.from(text)],
      });
      return Number(rows[0]?.n);
    },
    async messagesOf(key: string): Promise<number> {
      const { rows } = await pool.query<{ n: string }>({
        text: 'SELECT count(*) AS n FROM sagaz.message WHERE key = $1',
        values: [key],
      });
      return Number(rows[0]?.n);
    },
    async engine(ttlMs = 60_000): Promise<string> {
      const incarnation = randomUUID();
      const identity = { service: 's', host: 'h', pid: 1, runs: [], format: 1 };
      await engines.register({ incarnation, ...identity, ttlMs });
      return incarnation;
    },
    async started(count: number, owner: string): Promise<NewSaga[]> {
      const sagas = Array.from({ length: count }, () => newSaga({ owner }));
      await store.start(sagas);
      return sagas;
    },
    async close(): Promise<void> {
      await pool.end();
      await db.drop();
    },
  };
}
export type OpenSagas = Awaited<ReturnType<typeof openSagas>>;

export const claimOf = (incarnation: string, name: string, limit = 100): ClaimRequest => ({
  incarnation,
  definitions: [{ name, versions: [1] }],
  format: 1,
  limit,
});

/** Resolves when that many backends of this database wait for a lock. */
export async function waitUntilBlocked(pool: SagazPool, count = 1): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query({
      text: `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`,
    });
    if ((rowCount ?? 0) >= count) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Settles as an engine does: a look that waits for its lock in vain is followed by another one. */
export async function settledAtLast(
  store: PgSagaStore,
  transition: SagaTransition,
): Promise<SettledOutcome> {
  for (;;) {
    try {
      return await store.settle(transition);
    } catch (error) {
      if (!(error instanceof LockTimeoutError)) throw error;
    }
  }
}

/** The unread mail of the sagas that an incarnation owns, of the definition of these specs. */
export async function unreadMail(
  store: PgSagaStore,
  incarnation: string,
): Promise<readonly Mail[]> {
  const definitions = [{ name: 'place-order', versions: [1] }];
  const look = { incarnation, definitions, format: 1, from: null, limit: 10_000 };
  return (await store.lookForMail(look)).mail;
}

/** Claims as an engine does: it looks for mail first. */
export async function claimWithMail(
  store: PgSagaStore,
  request: ClaimRequest,
): Promise<readonly LoadedSaga[]> {
  const { wakes } = await store.lookForMail({ ...request, limit: 10_000, from: null });
  return store.claim({ ...request, mailed: wakes });
}
