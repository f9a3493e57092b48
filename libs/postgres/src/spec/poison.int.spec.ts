import { randomUUID } from 'node:crypto';
import { newId, type OutboxMessage, type QueuedMessage, type SlotChange } from '@sagaz/core';
import { describeEachPostgres } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BrokerDatabase, message as brokerMessage } from '../broker/broker.fixture.js';
import { inLatin1 } from '../connection/latin1.fixture.js';
import { schemaName } from '../connection/index.js';
import { PgInboxStore } from '../inbox/index.js';
import { PgOutboxStore } from '../outbox/index.js';
import {
  entry,
  message,
  newSaga,
  openSagas,
  transition,
  unreadMail,
  type OpenSagas,
} from '../sagas/sagas.fixture.js';

const schema = schemaName('sagaz');
/** So many share a statement. */
const GROUP = 40;
/** Where the bad ones are. */
const BAD = new Set([3, 17, 18]);
const range = Array.from({ length: GROUP }, (_, at) => at);

/** Texts that one of the databases, or every one, refuses. */
const TEXTS = [
  ['a character that LATIN1 lacks', 'costs 5 €'],
  ['a NUL', 'a\u0000b'],
  ['half a surrogate pair', 'a\ud800b'],
  ['a NUL and a character that LATIN1 lacks', '\u0000 €'],
] as const;

const ENCODINGS = [
  ['UTF8', undefined],
  ['LATIN1', inLatin1],
] as const;

describeEachPostgres('one bad item in a shared statement', (server) => {
  describe.each(ENCODINGS)('of a database in %s', (encoding, prepare) => {
    let open: OpenSagas;
    let outbox: PgOutboxStore;
    let inbox: PgInboxStore;
    beforeAll(async () => {
      open = await openSagas(server, prepare);
      const { pool, transactions } = open;
      const wakeUps = { listening: false, hint() {}, on: () => () => undefined };
      outbox = new PgOutboxStore({ pool, transactions, schema, wakeUps });
      inbox = new PgInboxStore({ pool, transactions, schema });
    });
    afterAll(() => open.close());

    /** Messages in the outbox as their owner reads them. */
    async function owned(messages: readonly OutboxMessage[]) {
      const incarnation = randomUUID();
      await open.pool.query({
        text: `WITH gone AS (DELETE FROM sagaz.message)
          UPDATE sagaz.slot_lease SET owner = NULL, expires_at = '-infinity'`,
      });
      await outbox.append(messages);
      await outbox.join(incarnation, 60_000);
      const leases = await outbox.acquire(incarnation, 60_000, 256);
      const read = await outbox.read({
        windows: leases.map(({ slot }) => ({ slot, floor: '0' })),
        inFlight: [],
        perSlot: 1_000,
        limit: 1_000,
        bytes: 64 * 1_024 * 1_024,
      });
      const bySeq = new Map(read.rows.map((row) => [row.message.id, row]));
      const rows = messages.flatMap(({ id }) => bySeq.get(id) ?? []);
      expect(rows).toHaveLength(messages.length);
      const change = (changes: readonly SlotChange[]) =>
        outbox.change(incarnation, leases, changes);
      return { rows, change };
    }

    const placeOf = ({ slot, seq }: QueuedMessage) => ({ slot, seq });
    const many = () => range.map(() => ({ ...message(), key: newId() }));

    async function statusOf(id: string) {
      const { rows } = await open.pool.query({
        text: 'SELECT sagaz.lane_status(lane) AS status, attempts, error, reason FROM sagaz.message WHERE id = $1',
        values: [id],
      });
      return rows[0];
    }

    describe.each(TEXTS)('%s', (_, text) => {
      it('is rejected as the data of a transition, and the others are applied', async () => {
        const owner = await open.engine();
        const sagas = await open.started(GROUP, owner);
        const outcomes = await open.store.flush(
          sagas.map((saga, at) =>
            transition(saga, owner, { entries: [entry('x', BAD.has(at) ? text : 'fine')] }),
          ),
        );
        expectRejected(outcomes, text);
      });

      it('is rejected as the input of a start, and the others are started', async () => {
        const outcomes = await open.store.start(
          range.map((at) => newSaga({ entries: [entry('x', BAD.has(at) ? text : 'fine')] })),
        );
        expectRejected(outcomes, text);
      });

      it('is rejected as an idempotency key, and the others are started', async () => {
        const outcomes = await open.store.start(
          range.map((at) => newSaga({ key: `${newId()} ${BAD.has(at) ? text : 'fine'}` })),
        );
        expectRejected(outcomes, text);
      });

      it('is refused as mail, and the others have theirs', async () => {
        const owner = await open.engine();
        const sagas = await open.started(GROUP, owner);
        const put = open.store.putMail(
          sagas.map(({ id }, at) => ({
            sagaId: id,
            kind: 'reply',
            dedupeKey: 'a',
            data: BAD.has(at) ? text : 'fine',
          })),
        );
        const failed = await put.then(
          () => false,
          () => true,
        );
        const mail = await unreadMail(open.store, owner);
        if (failed) expect(mail).toHaveLength(GROUP - BAD.size);
        else expect(mail).toHaveLength(GROUP);
      });

      it('does not keep a retry or a dead letter from being recorded as its error or reason', async () => {
        const messages = many();
        const { rows, change } = await owned(messages);
        const outcomes = await change(
          rows.map((row, at) => {
            const said = BAD.has(at) ? text : 'fine';
            const place = placeOf(row);
            return at % 2 === 0
              ? { kind: 'retry', place, delayMs: 1_000, counts: true, error: said }
              : {
                  kind: 'dead_letter',
                  place,
                  counts: true,
                  block: false,
                  error: said,
                  reason: said,
                  mail: { sagaId: randomUUID(), kind: 'reply', dedupeKey: 'a', data: `"${said}"` },
                };
          }),
        );
        expect(outcomes).toEqual(rows.map(() => 'changed'));
        for (const at of range) {
          const status = at % 2 === 0 ? 'retrying' : 'dead_letter';
          const found = await statusOf(messages[at]?.id ?? '');
          expect(found).toMatchObject({ status, attempts: 1 });
          // Something of what was said is there to be read.
          expect(found?.error).toMatch(BAD.has(at) ? /./ : 'fine');
        }
      });

      it('finds nothing as the id of a dead letter, and the others are replayed and discarded', async () => {
        const messages = many();
        const { rows, change } = await owned(messages);
        const bury = () =>
          change(
            rows.map((row) => ({
              kind: 'dead_letter',
              place: placeOf(row),
              counts: false,
              block: false,
              error: '',
              reason: '',
            })),
          );
        await bury();
        const ids = messages.map(({ id }, at) => (BAD.has(at) ? `${id}${text}` : id));
        const expected = ids.map((_, at) => (BAD.has(at) ? 'unknown' : 'done'));
        expect(await outbox.replayDeadLetters(ids)).toEqual(expected);
        await bury();
        expect(await outbox.discardDeadLetters(ids)).toEqual(expected);
      });

      it('is kept in the dead letter of a handler, readable, with its message', async () => {
        const key = { tenant: '', group: 'g', source: 's', id: newId() };
        const given = {
          ...brokerMessage('t', 'k'),
          id: key.id,
          key: `k ${text}`,
          headers: { 'x-a': text },
        };
        const letter = { message: given, attempts: 1, reason: text, error: text };
        const buried = await open.transactions.run((transaction) =>
          inbox.bury(key, letter, transaction, 1_000, undefined),
        );
        expect(buried).toBe(true);
        const letters = await inbox.listDeadLetters({ group: 'g' });
        const found = letters.find(({ message: { id } }) => id === key.id);
        expect(found?.message).toEqual({ ...given, payload: Buffer.from(given.payload) });
        expect(found?.error).not.toBe('');
      });

      it('finds nothing as the key of a dead letter of a handler, and the others are found', async () => {
        const keys = range.map(() => ({ tenant: '', group: 'found', source: 's', id: newId() }));
        for (const key of keys) {
          const letter = {
            message: { ...brokerMessage('t', 'k'), id: key.id },
            attempts: 1,
            reason: 'r',
            error: 'e',
          };
          await open.transactions.run((transaction) =>
            inbox.bury(key, letter, transaction, 1_000, undefined),
          );
        }
        const asked = keys.map((key, at) => (BAD.has(at) ? { ...key, source: text } : key));
        const expected = asked.map((_, at) => (BAD.has(at) ? 'unknown' : 'done'));
        expect(await inbox.replayDeadLetters(asked)).toEqual(expected);
        const busy = expected.map((outcome) => (outcome === 'done' ? 'busy' : outcome));
        expect(await inbox.discardDeadLetters(asked)).toEqual(busy);
      });
    });

    it.each([
      ['a delay beyond every date', { delayMs: 1e300 }],
      ['a delay that is no number', { delayMs: Number.NaN }],
      ['an endless delay', { delayMs: Number.POSITIVE_INFINITY }],
    ])('records a retry with %s, and those beside it', async (_, { delayMs }) => {
      const messages = many();
      const { rows, change } = await owned(messages);
      const outcomes = await change(
        rows.map((row, at) => ({
          kind: 'retry',
          place: placeOf(row),
          delayMs: BAD.has(at) ? delayMs : 1_000,
          counts: true,
          error: 'x',
        })),
      );
      expect(outcomes).toEqual(rows.map(() => 'changed'));
    });

    it.each(['no uuid', '', 'a\u0000b'])(
      'records the death of a command whose saga is called %j, and of those beside it',
      async (sagaId) => {
        const messages = many();
        const { rows, change } = await owned(messages);
        const outcomes = await change(
          rows.map((row, at) => ({
            kind: 'dead_letter',
            place: placeOf(row),
            counts: true,
            block: false,
            error: 'x',
            reason: 'r',
            mail: {
              sagaId: BAD.has(at) ? sagaId : randomUUID(),
              kind: 'reply',
              dedupeKey: newId(),
              data: '{}',
            },
          })),
        );
        expect(outcomes).toEqual(rows.map(() => 'changed'));
      },
    );

    it('leaves a row alone that a trigger of somebody else refuses to change, and changes the others', async () => {
      const messages = many();
      const { rows, change } = await owned(messages);
      const refused = [...BAD].map((at) => messages[at]?.id ?? '');
      await open.pool.query({
        text: `CREATE FUNCTION sagaz.no() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'not this one'; END $$;
          CREATE TRIGGER no BEFORE UPDATE ON sagaz.message FOR EACH ROW
            WHEN (NEW.id IN (${refused.map((id) => `'${id}'`).join()})) EXECUTE FUNCTION sagaz.no()`,
      });
      const outcomes = await change(
        rows.map((row) => ({
          kind: 'retry',
          place: placeOf(row),
          delayMs: 1_000,
          counts: true,
          error: 'x',
        })),
      );
      await open.pool.query({
        text: 'DROP TRIGGER no ON sagaz.message; DROP FUNCTION sagaz.no()',
      });
      expect(outcomes).toEqual(range.map((at) => (BAD.has(at) ? 'gone' : 'changed')));
    });

    it.each(['null', '[1]', '"text"', '{"a":1}'])(
      'reads past headers that somebody wrote as %s',
      async (headers) => {
        const messages = many();
        await owned(messages);
        await open.pool.query({
          text: `UPDATE sagaz.message SET headers = $1::json WHERE id = $2`,
          values: [headers, messages[3]?.id],
        });
        const read = await outbox.read({
          windows: range.concat(Array.from({ length: 216 }, (_, at) => at + GROUP)).map((slot) => ({
            slot,
            floor: '0',
          })),
          inFlight: [],
          perSlot: 1_000,
          limit: 1_000,
          bytes: 64 * 1_024 * 1_024,
        });
        expect(read.rows).toHaveLength(GROUP);
        const odd = read.rows.find((row) => row.message.id === messages[3]?.id);
        for (const value of Object.values(odd?.message.headers ?? { missing: 0 })) {
          expect(value).toBeTypeOf('string');
        }
      },
    );

    function expectRejected(outcomes: readonly { readonly kind: string }[], text: string): void {
      const refused = encoding === 'LATIN1' || text.includes('\u0000');
      for (const [at, { kind }] of outcomes.entries()) {
        if (BAD.has(at) && refused) expect(kind).toBe('rejected');
        else expect(kind).toMatch(/applied|started/);
      }
      expect(outcomes).toHaveLength(GROUP);
    }
  });

  it('a message that the broker cannot hold is rejected, and the others of its batch are taken', async () => {
    const database = await BrokerDatabase.open(server);
    const broker = await database.broker();
    const batch = range.map((at) =>
      brokerMessage('t', newId(), BAD.has(at) ? { type: 'a\u0000b' } : {}),
    );
    const outcomes = await broker.publish(batch);
    expect(outcomes.map(({ kind }) => kind)).toEqual(
      range.map((at) => (BAD.has(at) ? 'rejected' : 'acknowledged')),
    );
    await database.closeBrokers();
    await database.drop();
  });
});
