import { newId } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { schemaName } from '../connection/index.js';
import { PgOutboxStore } from '../outbox/index.js';
import {
  message,
  openSagas,
  transition,
  waitUntilBlocked,
  type OpenSagas,
} from './sagas.fixture.js';

describeEachPostgres('a command with a key of its own', (server) => {
  let open: OpenSagas;
  let outbox: PgOutboxStore;
  beforeAll(async () => {
    open = await openSagas(server);
    const { pool, transactions } = open;
    const wakeUps = { listening: false, hint() {}, on: () => () => undefined };
    outbox = new PgOutboxStore({ pool, transactions, schema: schemaName('sagaz'), wakeUps });
  });
  afterAll(() => open.close());

  /** The texts of a key's messages in the order of their numbers. */
  async function textsOf(key: string): Promise<string[]> {
    const { rows } = await open.pool.query<{ text: string }>({
      text: `SELECT sagaz.readable(payload) AS text FROM sagaz.message WHERE key = $1 ORDER BY seq`,
      values: [key],
    });
    return rows.map(({ text }) => text);
  }

  it('gets a number behind the message of a transaction that took the key before it', async () => {
    const key = newId();
    const owner = await open.engine();
    const [saga, neighbour] = await open.started(2, owner);
    if (saga === undefined || neighbour === undefined) throw new Error();
    const first = await open.client();
    await first.query('BEGIN');
    await outbox.append([{ ...message('first'), key }], open.transactions.enlist(first));
    const second = transition(saga, owner, { messages: [{ ...message('second'), key }] });
    expect(await open.store.flush([second, transition(neighbour, owner)])).toEqual([
      { kind: 'busy' },
      { kind: 'applied' },
    ]);
    expect(await open.store.flush([second])).toEqual([{ kind: 'busy' }]);
    await first.query('COMMIT');
    await first.end();
    expect(await open.store.flush([second])).toEqual([{ kind: 'applied' }]);
    expect(await textsOf(key)).toEqual(['first', 'second']);
  });

  it('keeps a publisher of the key waiting until it is committed, also in a transaction', async () => {
    const key = newId();
    const owner = await open.engine();
    const [saga] = await open.started(1, owner);
    if (saga === undefined) throw new Error();
    let publishing: Promise<void> = Promise.resolve();
    await open.transactions.run(async (transaction) => {
      const command = transition(saga, owner, { messages: [{ ...message('first'), key }] });
      expect(await open.store.apply(command, transaction)).toEqual({ kind: 'applied' });
      publishing = outbox.append([{ ...message('second'), key }]);
      await waitUntilBlocked(open.pool);
    });
    await publishing;
    expect(await textsOf(key)).toEqual(['first', 'second']);
  });

  it('needs no key of its own locked one by one where a transition has hundreds', async () => {
    const owner = await open.engine();
    const [saga, other] = await open.started(2, owner);
    if (saga === undefined || other === undefined) throw new Error();
    const keys = Array.from({ length: 300 }, () => newId());
    const many = transition(saga, owner, {
      messages: keys.map((key) => ({ ...message(), key })),
    });
    const few = transition(other, owner, { messages: [{ ...message(), key: newId() }] });
    const client = await open.client();
    await client.query('BEGIN');
    const [contended = ''] = keys.slice(150);
    await outbox.append(
      [{ ...message('before'), key: contended }],
      open.transactions.enlist(client),
    );
    expect(await open.store.flush([many, few])).toEqual([{ kind: 'busy' }, { kind: 'applied' }]);
    await client.query('COMMIT');
    await client.end();
    expect(await open.store.flush([many])).toEqual([{ kind: 'applied' }]);
    expect(await textsOf(contended)).toEqual(['before', 'hello']);
  });
});
