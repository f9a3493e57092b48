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

  it('does not wait without end for a replay: it discards nothing, and says so', async () => {
    const { inbox, transactions } = database.store(0);
    const other = database.store(1);
    const keys = ['a', 'b'].map((group): InboxKey => ({
      tenant: '',
      group,
      source: 'shop',
      id: newId(),
    }));
    for (const key of keys) {
      const message = {
        ...{ id: key.id, tenant: '', source: 'shop', topic: 't', key: 'k', type: 't.happened' },
        time: '2026-01-01T00:00:00.000Z',
        contentType: 'application/json',
        payload: new Uint8Array(0),
        headers: {},
      };
      const death = { message, attempts: 1, reason: 'final', error: 'x' } as const;
      await transactions.run((transaction) => inbox.bury(key, death, transaction, 1_000));
    }
    expect(await inbox.requestReplay(keys)).toBe(2);
    let end: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    let claimed: () => void = () => undefined;
    const inside = new Promise<void>((resolve) => (claimed = resolve));
    const handler = other.transactions.run(async (transaction) => {
      for (const key of keys.slice(1)) await other.inbox.claim(key, transaction, 1_000);
      claimed();
      await ended;
      throw new Error('the handler failed');
    });
    await inside;
    await expect(inbox.discardDeadLetters(keys)).rejects.toMatchObject({
      code: 'SAGAZ_DEAD_LETTER_BUSY',
    });
    expect(await inbox.countDeadLetters()).toBe(2);
    end();
    await expect(handler).rejects.toThrow('the handler failed');
    expect(await inbox.discardDeadLetters(keys)).toBe(2);
  }, 60_000);
});
