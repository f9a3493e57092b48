import { newId, type InboxKey } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { InboxDatabase } from './inbox.fixture.js';

describeEachPostgres('discarding dead letters', (server) => {
  let database: InboxDatabase;

  beforeAll(async () => {
    database = await InboxDatabase.open(server);
  });
  afterAll(() => database.drop());

  /** One dead letter for each group named. */
  async function buried(groups: readonly string[]): Promise<readonly InboxKey[]> {
    const { inbox, transactions } = database.store(0);
    const keys = groups.map((group) => ({ tenant: '', group, source: 'shop', id: newId() }));
    await transactions.run(async (transaction) => {
      for (const key of keys) {
        const message = {
          ...{ id: key.id, tenant: '', source: 'shop', topic: 't', key: 'k', type: 't.happened' },
          time: '2026-01-01T00:00:00.000Z',
          contentType: 'application/json',
          payload: new Uint8Array(0),
          headers: {},
        };
        const death = { message, attempts: 1, reason: 'final', error: 'x' } as const;
        await inbox.bury(key, death, transaction, 1_000, undefined);
      }
    });
    return keys;
  }

  it('does not wait for a handler at work on a replay: it says so, and discards the others', async () => {
    const { inbox } = database.store(0);
    const other = database.store(1);
    const keys = await buried(['a', 'b']);
    expect(await inbox.replayDeadLetters(keys.slice(1))).toEqual(['done']);
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    let claimed: () => void = () => undefined;
    const inside = new Promise<void>((resolve) => (claimed = resolve));
    const handler = other.transactions.run(async (transaction) => {
      for (const key of keys.slice(1)) {
        await other.inbox.claim(key, transaction, 1_000, { landed: '0' });
      }
      claimed();
      await ended;
      throw new Error('the handler failed');
    });
    await inside;
    expect(await inbox.discardDeadLetters([...keys].reverse())).toEqual(['busy', 'done']);
    expect(await inbox.countDeadLetters()).toBe(0);
    end();
    await expect(handler).rejects.toThrow('the handler failed');
    expect(await inbox.discardDeadLetters(keys)).toEqual(['ended', 'busy']);
  }, 60_000);

  it('discards in portions, and says of each letter what became of it', async () => {
    const { inbox } = database.store(0);
    const keys = await buried(Array.from({ length: 230 }, () => 'many'));
    const strange = { tenant: '', group: 'many', source: 'nobody', id: newId() };
    const asked = [...keys.slice(0, 150), strange, ...keys.slice(150), ...keys.slice(0, 1)];
    const outcomes = await inbox.discardDeadLetters(asked);
    // The last one was given twice, and is gone when its second portion comes.
    expect(outcomes).toEqual(
      asked.map((key, at) => (key === strange ? 'unknown' : at === 231 ? 'ended' : 'done')),
    );
    expect(await inbox.countDeadLetters()).toBe(0);
  }, 60_000);
});
