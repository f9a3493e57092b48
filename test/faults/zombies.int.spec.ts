import { setTimeout as pause } from 'node:timers/promises';
import { postgresServers } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBooks, type Books } from './books.fixture.js';
import { promiseHolds } from './promises.fixture.js';
import { ZOMBIE_CELLS, type ZombieCell } from './src/cells.js';
import { Child, faultText, query, Template, type Ended } from './world.fixture.js';

let template: Template;
beforeAll(async () => {
  template = await Template.create(postgresServers()[0]!);
});
afterAll(() => template.drop());

interface Haunted {
  readonly frozen: boolean;
  readonly heir: Ended;
  readonly zombie: Ended;
  /** When the zombie woke up. */
  readonly before: Books;
  readonly after: Books;
}

/** Resolves once somebody waits for a lock: the frozen process holds it and has to be woken first. */
async function stuckOnLock(url: string, over: Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const done = over.then(() => true);
  try {
    while (!(await Promise.race([done, pause(100, false)]))) {
      const { rowCount } = await client.query(`SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'
          AND clock_timestamp() - query_start > interval '300 milliseconds'`);
      if (rowCount !== 0) return;
    }
  } finally {
    await client.end();
  }
}

/**
 * Whether a frozen process, the only one of its database, holds a transaction open. Its other statements
 * end by themselves.
 */
async function holdsTransaction(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query<{ idle: boolean }>(`SELECT state LIKE 'idle in%' AS idle
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type = 'client backend' AND xact_start IS NOT NULL`);
      if (rows.length === 0) return false;
      if (rows.some(({ idle }) => idle)) return true;
      await pause(20);
    }
  } finally {
    await client.end();
  }
}

/**
 * Freezes a process that holds no locks but those of the work in which it is frozen. On a busy machine
 * neighbouring work may be inside of a transaction at that moment; such a process is replaced.
 */
async function haunt(cell: ZombieCell): Promise<Haunted> {
  for (let tries = 0; tries < 10; tries += 1) {
    const haunted = await tryToHaunt(cell);
    if (haunted !== null) return haunted;
  }
  throw new Error('Each time, the frozen process held a transaction of other work open.');
}

async function tryToHaunt(cell: ZombieCell): Promise<Haunted | null> {
  const { orders, notes, refuse = false, holdsLocks = false, ...place } = cell;
  const database = await template.copy();
  const { url } = database;
  if (refuse) await query(url, `INSERT INTO app.switch VALUES ('relay')`);
  const scenario = { url, orders, notes };
  const zombie = new Child({ ...scenario, fault: { ...place, action: 'freeze' } });
  try {
    const frozen = await zombie.frozen;
    if (frozen && !holdsLocks && (await holdsTransaction(url))) return null;
    const heir = new Child(scenario);
    await (holdsLocks ? stuckOnLock(url, heir.ended) : heir.ended);
    const before = await readBooks(url);
    zombie.signal('SIGCONT');
    const ends = await Promise.all([heir.ended, zombie.ended]);
    return { frozen, heir: ends[0], zombie: ends[1], before, after: await readBooks(url) };
  } finally {
    zombie.signal('SIGKILL');
    await database.drop();
  }
}

describe('7: a zombie cannot write', () => {
  it.each(ZOMBIE_CELLS.map((cell) => [faultText(cell), cell] as const))(
    'when it was frozen at %s',
    async (_at, cell) => {
      const { frozen, heir, zombie, before, after } = await haunt(cell);
      expect(frozen, 'the point was not reached').toBe(true);
      expect(heir.code, heir.stderr).toBe(0);
      expect(zombie.code, zombie.stderr).toBe(0);
      if (cell.holdsLocks === true) {
        // Its transaction held the locks of its keys: the heir could end only after it.
        expect(after.sagas.map(({ status }) => status)).toEqual(['completed']);
        const confirmed = after.local.filter(({ what }) => what === 'good-1:confirm');
        expect(confirmed).toEqual([{ what: 'good-1:confirm', pid: heir.pid }]);
        return;
      }
      const { deliveries: _, external: __, ...untouched } = before;
      expect(after).toMatchObject(untouched);
      for (const promise of [1, 2, 3, 6] as const) promiseHolds[promise](after, cell);
      if (cell.refuse === true) {
        expect(after.letters).toMatchObject([{ status: 'dead_letter', key: 'k2', attempts: 4 }]);
        return;
      }
      for (const promise of [4, 5] as const) promiseHolds[promise](after, cell);
    },
    120_000,
  );
});
