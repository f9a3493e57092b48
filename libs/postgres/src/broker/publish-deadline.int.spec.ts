import { systemClock, type Clock } from '@sagaz/core';
import { Gate } from '@sagaz/core/testing';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { SagazPool } from '../connection/index.js';
import { BrokerDatabase, freshTopic, message } from './broker.fixture.js';

const DEADLINE_MS = 60_000;

describeEachPostgres('a publish with a deadline', (server) => {
  let database: BrokerDatabase;
  let stoodStillMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + stoodStillMs };

  beforeAll(async () => {
    database = await BrokerDatabase.open(server);
  });
  afterEach(() => database.closeBrokers());
  afterAll(() => database.drop());

  /** Publishes two messages of a key; the process stands still between the connection and the statement. */
  async function published(forMs: number): Promise<{ kinds: string[]; ids: string[] }> {
    const topic = freshTopic();
    const broker = await database.broker({ clock });
    const gate = new Gate();
    const batch = [message(topic, 'k'), message(topic, 'k')];
    const connect = SagazPool.prototype.connect;
    const connecting = vi
      .spyOn(SagazPool.prototype, 'connect')
      .mockImplementationOnce(async function (this: SagazPool) {
        const client = await connect.call(this);
        await gate.pass();
        return client;
      });
    try {
      const outcomes = broker.publish(batch, clock.now() + DEADLINE_MS);
      await gate.reached;
      stoodStillMs += forMs;
      gate.open();
      const kinds = (await outcomes).map(({ kind }) => kind);
      const { rows } = await database.admin.query<{ id: string }>(
        'SELECT id FROM sagaz_broker.message WHERE topic = $1 ORDER BY seq',
        [topic],
      );
      return { kinds, ids: rows.map(({ id }) => (id === batch[0]?.id ? 'first' : 'second')) };
    } finally {
      connecting.mockRestore();
    }
  }

  it('is written if the process stood still for less', async () => {
    expect(await published(DEADLINE_MS / 2)).toEqual({
      kinds: ['acknowledged', 'acknowledged'],
      ids: ['first', 'second'],
    });
  });

  it('writes nothing past it', async () => {
    expect(await published(DEADLINE_MS)).toEqual({ kinds: ['expired', 'expired'], ids: [] });
  });
});
