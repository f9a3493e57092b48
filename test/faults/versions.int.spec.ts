import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { noFaults, systemClock, type Store } from '@sagaz/core';
import { postgres } from '@sagaz/postgres';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WorkerProcess } from './src/processes/index.js';
import {
  futureBuild,
  type VersionPlan,
  type VersionReport,
  type VersionRequest,
} from './src/versions/index.js';

const repository = join(import.meta.dirname, '../..');
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const SCHEMA = 'sagaz';
const NEWER = 2;
/** Sagas of each of the three phases: old processes alone, both, new ones alone. */
const EACH = 60;

type Worker = WorkerProcess<VersionRequest, VersionReport>;

describeEachPostgres('processes of this version beside those of a next one', (server) => {
  let db: TestDatabase;
  let pool: pg.Pool;
  let store: Store;
  let future: string;
  let log: string;
  const workers: Worker[] = [];
  const started = new Map<string, string>();
  const signalled = new Set<string>();

  beforeAll(async () => {
    future = await futureBuild(repository);
    db = await createDatabase(server);
    pool = new pg.Pool({ connectionString: db.url, max: 3 });
    store = await postgres({ url: db.url, schema: SCHEMA }).create({
      service: 'versions spec',
      logger: quiet,
      clock: systemClock,
      faults: noFaults,
    });
    await store.start({ migrate: true });
    await pool.query(`CREATE SCHEMA app; CREATE TABLE app.effect (
      saga uuid NOT NULL, step text NOT NULL, build text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())`);
    log = join(await mkdtemp(join(tmpdir(), 'sagaz-versions-')), 'processes.log');
  });
  afterAll(async () => {
    for (const worker of workers) worker.killNow();
    await store.close();
    await pool.end();
    await db.drop();
  });

  const spawn = (build: VersionPlan['build'], name: string): Worker => {
    const folder = build === 'old' ? join(repository, 'test/faults/dist') : future;
    const plan: VersionPlan = { url: db.url, schema: SCHEMA, build };
    const worker = new WorkerProcess<VersionRequest, VersionReport>({
      name,
      script: join(folder, 'versions/worker.js'),
      plan,
      log: createWriteStream(log, { flags: 'a' }),
      hear: (report) => {
        if (report.kind === 'started') started.set(report.saga, report.id);
      },
    });
    worker.spawn();
    workers.push(worker);
    return worker;
  };

  /** Has sagas started by any of the processes, until each of them is known to be. */
  const startSagas = async (phase: string, by: readonly Worker[], many = EACH): Promise<void> => {
    const names = Array.from({ length: many }, (_, at) => `${phase}-${String(at)}`);
    await expect
      .poll(async () => {
        const missing = names.filter((saga) => !started.has(saga));
        for (const [at, saga] of missing.entries()) {
          const signal = /[05]$/.test(saga);
          // Some are still at work when their signal comes.
          const stepMs = /[57]$/.test(saga) ? 1_500 : 100;
          by[at % by.length]?.send({ kind: 'start', saga, signal, stepMs });
        }
        await sleep(300);
        return missing.length;
      })
      .toBe(0);
  };

  /** Signals every saga that may wait for one, whichever version has it, and some that never ask. */
  const signalAll = async (): Promise<void> => {
    const mail = [...started].flatMap(([saga, sagaId]) =>
      /[0257]$/.test(saga) && !signalled.has(sagaId)
        ? [
            {
              sagaId,
              definition: { name: 'versions', version: 1 },
              format: NEWER,
              kind: 'signal',
              dedupeKey: 'signal',
              data: '{"value":"yes"}',
            },
          ]
        : [],
    );
    await store.sagas.putMail(mail);
    store.wakeUps.hint('saga');
    for (const { sagaId } of mail) signalled.add(sagaId);
  };

  const count = async (sql: string): Promise<number> => {
    const { rows } = await pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${sql}`);
    return rows[0]?.n ?? -1;
  };

  it('end every saga, take what they can read, and lose no mail, through a migration and kills', async () => {
    const old = [spawn('old', 'old one'), spawn('old', 'old two')];
    await startSagas('first', old);
    // Old processes give sagas to new ones, of which there is none yet.
    const givenUp = `${SCHEMA}.saga s JOIN ${SCHEMA}.definition d ON d.number = s.definition WHERE d.format = 2`;
    let more = 0;
    await expect
      .poll(async () => {
        await signalAll();
        await startSagas(`more-${String((more += 1))}`, old, 10);
        return count(givenUp);
      })
      .toBeGreaterThan(0);
    // The new processes apply the migration of their version while the old ones work.
    const fresh = [spawn('new', 'new one'), spawn('new', 'new two')];
    const starting = startSagas('second', [...old, ...fresh]);
    // Every process is killed, and comes back: an old one on the migrated tables as well.
    for (let round = 0; round < 2; round += 1) {
      for (const worker of [...old, ...fresh]) {
        await expect.poll(() => worker.ready).toBe(true);
        await sleep(200);
        await worker.kill();
        await signalAll();
      }
    }
    await starting;
    await signalAll();
    for (const worker of old) expect(await worker.stop(20_000)).toBe(true);
    await startSagas('third', fresh);
    await signalAll();
    await expect.poll(() => count(`${SCHEMA}.saga_ended`), { timeout: 90_000 }).toBe(started.size);

    expect(await count(`${SCHEMA}.saga`)).toBe(0);
    expect(await count(`${SCHEMA}.saga_ended WHERE status <> 'completed'`)).toBe(0);
    expect(
      await count(
        `${SCHEMA}.saga_journal_readable WHERE kind IN ('needs_attention', 'unreadable')`,
      ),
    ).toBe(0);
    // Each step was done, in its order.
    const order = `(SELECT saga, array_agg(step ORDER BY at) AS steps FROM (
        SELECT saga, step, min(at) AS at FROM app.effect GROUP BY saga, step) AS e GROUP BY saga) AS o`;
    expect(await count(`${order} WHERE steps = '{first,second,third}'`)).toBe(started.size);
    // From the first entry that only the next version reads on, no old process did anything for the saga.
    const newer = `(SELECT saga_id, min(recorded_at) AS since FROM ${SCHEMA}.saga_journal_readable
      WHERE kind = 'noted' OR data LIKE '%"kind":"signal"%' GROUP BY saga_id) AS n`;
    expect(await count(newer)).toBeGreaterThanOrEqual(EACH / 5);
    expect(
      await count(
        `${newer} JOIN app.effect e ON e.saga = n.saga_id WHERE e.build = 'old' AND e.at > n.since`,
      ),
    ).toBe(0);
    expect(await count(`information_schema.columns WHERE column_name = 'moves'`)).toBe(1);
    // Both versions worked, and old processes gave sagas to new ones.
    for (const build of ['old', 'new']) {
      expect(await count(`app.effect WHERE build = '${build}'`)).toBeGreaterThan(EACH / 2);
    }
    expect(
      await count(`${newer} JOIN app.effect e ON e.saga = n.saga_id WHERE e.build = 'old'`),
    ).toBeGreaterThan(0);
    // A signal that comes while its saga ends is not read; that of a saga that waited for it was.
    const waited = `(SELECT DISTINCT saga_id FROM ${SCHEMA}.saga_journal_readable
      WHERE kind = 'step_waiting' AND data LIKE '%"kind":"signal"%') AS w`;
    expect(await count(`${waited} JOIN ${SCHEMA}.saga_mail m USING (saga_id)`)).toBe(0);
    // The signal of every saga that asked for one was taken.
    expect(
      await count(
        `${SCHEMA}.saga_journal_readable WHERE kind = 'step_completed' AND step = 'second'`,
      ),
    ).toBe(started.size);
    const told = await readFile(log, 'utf8');
    expect(told).not.toMatch(/cannot be run by this engine|was not handled/);
  }, 240_000);
});
