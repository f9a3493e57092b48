import { newNonce } from '@sagaz/core';
import { describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { schemaName, type SagazClient } from '../connection/index.js';
import { openEngines } from './engines.fixture.js';
import { PgEngineRegistry } from './pg-engine-registry.js';

describeEachPostgres(
  'an engine that is dead and whose row another session has locked',
  (server) => {
    let db: TestDatabase;
    let connection: SagazClient;
    let other: pg.Client;
    beforeAll(async () => {
      const opened = await openEngines(server);
      db = opened.db;
      connection = opened.connect();
      other = new pg.Client({ connectionString: db.url });
      await other.connect();
    });
    afterAll(async () => {
      await other.end();
      await connection.end();
      await db.drop();
    });

    it('does not hold up the heartbeat of the engine that watches it', async () => {
      const registry = new PgEngineRegistry(connection, schemaName('sagaz'));
      const [living, dead] = [newNonce(), newNonce()];
      for (const [incarnation, ttlMs] of [
        [dead, 20],
        [living, 5_000],
      ] as const) {
        const identity = { service: 's', host: 'h', pid: 1, runs: [], format: 1 };
        await registry.register({ incarnation, ...identity, ttlMs });
      }
      await sleep(50);
      const beat = async (): Promise<string> =>
        (await registry.observe()).find(({ incarnation }) => incarnation === dead)?.beat ?? '';
      await other.query('BEGIN');
      await other.query('SELECT FROM sagaz.engine WHERE incarnation = $1 FOR UPDATE', [dead]);
      try {
        const declared = registry.declareDead(dead, await beat());
        expect(await registry.beat(living)).toBe(true);
        expect(await declared).toBe(false);
      } finally {
        await other.query('ROLLBACK');
      }
      expect(await registry.declareDead(dead, await beat())).toBe(true);
    });
  },
);
