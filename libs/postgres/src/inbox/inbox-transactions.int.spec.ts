import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  HEADERS,
  InboxProcessor,
  TransactionAbortedError,
  hashOfLine,
  jsonCodec,
  newId,
  systemClock,
  type DeliveryOutcome,
  type InboxEvent,
  type InboxUnit,
  type Message,
} from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InboxDatabase } from './inbox.fixture.js';

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const group = 'inventory';

function newMessage(headers: Readonly<Record<string, string>> = {}): Message {
  const id = newId();
  return {
    id,
    tenant: '',
    topic: 'inventory',
    key: `saga-${id}`,
    type: 'inventory.reserve',
    source: 'orders',
    time: '2026-01-01T00:00:00.000Z',
    contentType: 'application/json',
    payload: new TextEncoder().encode('{}'),
    headers,
  };
}

function newCommand(): Message {
  const message = newMessage();
  return {
    ...message,
    headers: {
      [HEADERS.role]: 'command',
      [HEADERS.sagaId]: message.key,
      [HEADERS.step]: 'reserve',
      [HEADERS.idempotencyKey]: `${message.key}:reserve`,
      [HEADERS.replyTo]: 'orders.replies',
    },
  };
}

describeEachPostgres('handlers on PostgreSQL', (server) => {
  let database: InboxDatabase;
  const events: InboxEvent[] = [];

  beforeAll(async () => {
    database = await InboxDatabase.open(server);
    const { pool } = database.store(0);
    await pool.query({
      text: 'CREATE TABLE stock (sku text PRIMARY KEY, amount integer NOT NULL)',
    });
  });
  afterAll(() => database.drop());

  /** A unit of work on a client of the application's own, as an ORM would open it. */
  function unitOn(client: pg.Client, begin: string): InboxUnit {
    const { transactions } = database.store(0);
    return {
      run: async (body) => {
        await client.query(begin);
        try {
          const value = await body(transactions.enlist(client), () => undefined);
          const { command } = await client.query('COMMIT');
          if (command !== 'COMMIT') throw new TransactionAbortedError();
          return value;
        } catch (error) {
          await client.query('ROLLBACK');
          throw error;
        }
      },
    };
  }

  async function receive(
    message: Message,
    unit: InboxUnit,
    handle: () => Promise<unknown>,
  ): Promise<DeliveryOutcome> {
    const { inbox, transactions } = database.store(0);
    const processor = new InboxProcessor({
      inbox,
      transactions,
      outbox: { append: () => Promise.resolve() },
      service: 'inventory',
      clock: systemClock,
      logger,
      observer: { ended: (event) => events.push(event) },
    });
    return processor.receive(
      { message, group, attempt: 1, signal: new AbortController().signal },
      {
        group,
        type: message.type,
        retry: { attempts: 3, backoffMs: 10, factor: 2, maxDelayMs: 100, jitter: 0 },
        codec: jsonCodec,
      },
      (attempt) => attempt.run(unit, handle),
    );
  }

  async function client(): Promise<pg.Client> {
    const opened = new pg.Client({ connectionString: database.url });
    await opened.connect();
    return opened;
  }

  async function amountOf(sku: string): Promise<number | undefined> {
    const { rows } = await database.store(0).pool.query<{ amount: number }>({
      text: 'SELECT amount FROM stock WHERE sku = $1',
      values: [sku],
    });
    return rows[0]?.amount;
  }

  it('never acknowledges a handler that swallowed a unique violation', async () => {
    const message = newMessage();
    const mine = await client();
    try {
      const unit = unitOn(mine, 'BEGIN');
      const sku = message.id;
      const handle = async (): Promise<void> => {
        await mine.query('INSERT INTO stock VALUES ($1, 1)', [sku]);
        await mine.query('INSERT INTO stock VALUES ($1, 2)', [sku]).catch(() => undefined);
      };
      expect((await receive(message, unit, handle)).kind).toBe('retry');
      expect(events.at(-1)?.outcome).toMatchObject({ kind: 'retry', counted: true });
      expect(await amountOf(sku)).toBeUndefined();
      const repaired = () => mine.query('INSERT INTO stock VALUES ($1, 3)', [sku]);
      expect(await receive(message, unit, repaired)).toEqual({ kind: 'done' });
      expect(await amountOf(sku)).toBe(3);
    } finally {
      await mine.end();
    }
  });

  it('never acknowledges a command whose reply came after a swallowed error', async () => {
    const message = newCommand();
    const mine = await client();
    try {
      const outcome = await receive(message, unitOn(mine, 'BEGIN'), async () => {
        await mine.query('SELECT 1 / 0').catch(() => undefined);
        return 'reserved';
      });
      expect(outcome.kind).toBe('retry');
      expect(events.at(-1)?.outcome).toMatchObject({ kind: 'retry', counted: true });
    } finally {
      await mine.end();
    }
  });

  for (const level of ['REPEATABLE READ', 'SERIALIZABLE']) {
    it(`handles a message once under ${level}, where a duplicate's claim fails instead of waiting`, async () => {
      const message = newMessage();
      const [mine, other] = [await client(), await client()];
      try {
        await mine.query('INSERT INTO stock VALUES ($1, 0)', [message.id]);
        const add = (on: pg.Client) => () =>
          on.query('UPDATE stock SET amount = amount + 1 WHERE sku = $1', [message.id]);
        const begin = `BEGIN ISOLATION LEVEL ${level}`;
        // Two processors, as two processes have them: nothing in memory keeps them apart.
        const outcomes = await Promise.all([
          receive(message, unitOn(mine, begin), add(mine)),
          receive(message, unitOn(other, begin), add(other)),
        ]);
        expect(outcomes).toEqual([{ kind: 'done' }, { kind: 'done' }]);
        expect(await amountOf(message.id)).toBe(1);
        const kinds = events.filter((event) => event.message === message);
        expect(kinds.map(({ outcome }) => outcome.kind).sort()).toEqual(['committed', 'duplicate']);
      } finally {
        await Promise.all([mine.end(), other.end()]);
      }
    });

    it(`runs a handler again that lost a race under ${level}, uncounted`, async () => {
      const [first, second] = [newMessage(), newMessage()];
      const [mine, other] = [await client(), await client()];
      try {
        const sku = first.id;
        await mine.query('INSERT INTO stock VALUES ($1, 0)', [sku]);
        const begin = `BEGIN ISOLATION LEVEL ${level}`;
        let bothRead: () => void = () => undefined;
        const gate = new Promise<void>((resolve) => (bothRead = resolve));
        let readers = 0;
        const add = (on: pg.Client) => async (): Promise<void> => {
          const { rows } = await on.query<{ amount: number }>(
            'SELECT amount FROM stock WHERE sku = $1',
            [sku],
          );
          readers += 1;
          if (readers === 2) bothRead();
          await gate;
          const amount = (rows[0]?.amount ?? 0) + 1;
          await on.query('UPDATE stock SET amount = $2 WHERE sku = $1', [sku, amount]);
        };
        const outcomes = await Promise.all([
          receive(first, unitOn(mine, begin), add(mine)),
          receive(second, unitOn(other, begin), add(other)),
        ]);
        expect(outcomes).toEqual([{ kind: 'done' }, { kind: 'done' }]);
        expect(await amountOf(sku)).toBe(2);
        expect(readers).toBe(3);
      } finally {
        await Promise.all([mine.end(), other.end()]);
      }
    });
  }

  it('puts a message off while another one of the same number is handled', async () => {
    const message = newMessage();
    const [mine, other] = [await client(), await client()];
    const lock = [hashOfLine(group, message.tenant, message.topic, message.key)];
    const handle = async (): Promise<string | undefined> => {
      await receive(message, unitOn(mine, 'BEGIN'), () => Promise.resolve());
      return events.at(-1)?.outcome.kind;
    };
    try {
      await other.query('SELECT pg_advisory_lock($1::bigint)', lock);
      expect(await handle()).toBe('retry');
      expect(events.at(-1)?.outcome).toMatchObject({ counted: false });
      await other.query('SELECT pg_advisory_unlock($1::bigint)', lock);
      expect(await handle()).toBe('committed');
    } finally {
      await Promise.all([mine.end(), other.end()]);
    }
  });

  it("leaves the handler's own lock_timeout as it was", async () => {
    const mine = await client();
    try {
      const seen: unknown[] = [];
      await receive(
        newCommand(),
        unitOn(mine, "BEGIN; SET LOCAL lock_timeout = '1234ms'"),
        async () => {
          const { rows } = await mine.query<{ lock_timeout: string }>('SHOW lock_timeout');
          seen.push(rows[0]?.lock_timeout);
        },
      );
      expect(seen).toEqual(['1234ms']);
      const { rows } = await mine.query<{ lock_timeout: string }>('SHOW lock_timeout');
      expect(rows[0]?.lock_timeout).toBe('0');
    } finally {
      await mine.end();
    }
  });

  it('tells a burst of duplicates apart from a dead letter with the same id of another source', async () => {
    const { inbox, transactions } = database.store(0);
    const message = newMessage();
    await transactions.run((transaction) =>
      inbox.bury(
        { tenant: '', group, source: 'elsewhere', id: message.id },
        { message: { ...message, source: 'elsewhere' }, attempts: 1, reason: 'final', error: 'x' },
        transaction,
        1_000,
        undefined,
      ),
    );
    const clients = await Promise.all(Array.from({ length: 8 }, client));
    try {
      await clients[0]?.query('INSERT INTO stock VALUES ($1, 0)', [message.id]);
      const outcomes = await Promise.all(
        clients.map((one) =>
          receive(message, unitOn(one, 'BEGIN'), () =>
            one.query('UPDATE stock SET amount = amount + 1 WHERE sku = $1', [message.id]),
          ),
        ),
      );
      expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['done']));
      expect(await amountOf(message.id)).toBe(1);
    } finally {
      await Promise.all(clients.map((one) => one.end()));
    }
  });

  describe('a process killed in the middle of a handler', () => {
    const child = fileURLToPath(new URL('killed-handler.fixture.mjs', import.meta.url));

    /** Lets a process handle the message; resolves with how it ended. */
    function handledBy(
      message: Message,
      attempt: number,
      killAt: string,
    ): Promise<number | NodeJS.Signals | null> {
      const payload = Buffer.from(message.payload).toString('base64');
      const task = { url: database.url, group, attempt, killAt, message: { ...message, payload } };
      return new Promise((resolve) => {
        const child_ = execFile(process.execPath, [child, JSON.stringify(task)], () => undefined);
        child_.on('exit', (code, signal) => {
          resolve(signal ?? code);
        });
      });
    }

    for (const point of [
      'inbox.after-claim',
      'inbox.after-handler',
      'inbox.before-commit',
      'inbox.after-commit',
    ]) {
      it(`has its effects and its reply once after a redelivery (${point})`, async () => {
        const message = newCommand();
        expect(await handledBy(message, 1, point)).toBe('SIGKILL');
        expect(await handledBy(message, 2, 'nowhere')).toBe(0);
        const recorded = await database.effects.recorded();
        expect(recorded.filter((text) => text === `effect ${message.id}`)).toHaveLength(1);
        const { rows } = await database.store(0).pool.query<{ replies: string }>({
          text: 'SELECT count(*) AS replies FROM sagaz.message WHERE key = $1',
          values: [message.key],
        });
        expect(rows[0]?.replies).toBe('1');
      });
    }

    it('is a dead letter with a failure reply once it has killed three in which it was alone', async () => {
      const message = newCommand();
      // Nobody knows of the first, and after the second it is a suspect.
      for (const attempt of [1, 2, 3, 4, 5]) {
        expect(await handledBy(message, attempt, 'inbox.after-handler')).toBe('SIGKILL');
      }
      expect(await handledBy(message, 6, 'inbox.after-handler')).toBe(0);
      const letters = await database.store(0).inbox.listDeadLetters({ key: message.key });
      expect(letters.map(({ reason }) => reason)).toEqual(['crashed']);
      const { rows } = await database.store(0).pool.query<{ status: string }>({
        text: "SELECT headers ->> 'sagaz-reply-status' AS status FROM sagaz.message WHERE key = $1 AND lane = 0",
        values: [message.key],
      });
      expect(rows).toEqual([{ status: 'failed' }]);
    });
  });
});
