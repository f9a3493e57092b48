import { Controller, NotFoundException, type INestApplication } from '@nestjs/common';
import { inboxKeyOf } from '@sagaz/core';
import {
  DeadLetters,
  defineEvent,
  IdempotentHandler,
  Outbox,
  UnknownDataSourceError,
  type DeadLetter,
  type DeadLetterRef,
} from '@sagaz/nestjs';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Observer, startService } from './app.js';
import { MessageBench } from './message-bench.js';

interface Parcel {
  readonly n: number;
}
const Sent = defineEvent<Parcel>()('parcel.sent');
const Lost = defineEvent<Parcel>()('parcel.lost');
const Billed = defineEvent<Parcel>()('bill.sent');

/** The messages that the handlers cannot handle now. */
const impossible = new Set<number>();
const handled: number[] = [];

@Controller()
class Parcels {
  @IdempotentHandler(Sent)
  sent({ n }: Parcel): void {
    if (impossible.has(n)) throw new NotFoundException(`no parcel ${n}`);
    handled.push(n);
  }

  @IdempotentHandler(Lost, { group: 'insurance' })
  lost({ n }: Parcel): void {
    if (impossible.has(n)) throw new NotFoundException(`no parcel ${n}`);
    handled.push(n);
  }
}

describeEachPostgres('dead letters', (server) => {
  const databases: TestDatabase[] = [];
  let app: INestApplication;
  let letters: DeadLetters;
  let outbox: Outbox;
  let seen: Observer;
  const bench = new MessageBench();

  beforeAll(async () => {
    for (let i = 0; i < 2; i += 1) databases.push(await createDatabase(server));
    const [main, billing] = databases;
    app = await startService({
      databases: [{ url: main!.url }, { name: 'billing', url: billing!.url }],
      controllers: [Parcels],
      sagaz: {
        service: 'parcels',
        broker: bench.driver,
        roles: { engine: false, relay: true, consume: true },
        relay: { retry: { attempts: 1 }, pollInterval: 50, lease: '1s', publishTimeout: 500 },
      },
    });
    bench.watch(app);
    letters = app.get(DeadLetters);
    outbox = app.get(Outbox);
    seen = new Observer(main!.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    for (const database of databases) await database.drop();
  });
  beforeEach(async () => {
    impossible.clear();
    handled.length = 0;
    bench.broker.published.length = 0;
    bench.broker.failWith(undefined);
    for (const side of ['outbox', 'inbox'] as const) {
      for (const connection of ['default', 'billing']) {
        const left = await letters.list({ side, connection, limit: 1_000 });
        await letters.discard(left.map(({ ref }) => ref));
      }
    }
  });

  /** Publishes, and waits until the broker has refused it for good. */
  async function refused(n: number, key: string, contract = Sent, connection = 'default') {
    bench.broker.failWith(() => ({ kind: 'rejected', error: new Error('too heavy') }));
    const id = await outbox.publish(contract, { n }, { key, connection, standalone: true });
    await vi.waitFor(
      async () => {
        const found = await letters.list({ side: 'outbox', connection, key });
        expect(found.map(({ messageId }) => messageId)).toContain(id);
      },
      { timeout: 20_000, interval: 20 },
    );
    bench.broker.failWith(undefined);
    return id;
  }

  /** Sends past the outbox, and waits until its handler has given it up. */
  async function givenUp(n: number, key: string, type = 'parcel.sent'): Promise<string> {
    impossible.add(n);
    const { id } = await bench.send({ type, key, payload: { n } });
    await bench.ends(id);
    impossible.delete(n);
    return id;
  }

  const published = (): unknown[] =>
    bench.broker.published.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()));
  const keys = (found: readonly DeadLetter[]): string[] => found.map(({ key }) => key);

  describe('of the outbox', () => {
    it('keep the whole message, and say why it was given up', async () => {
      const id = await refused(1, 'k');
      const [letter, ...others] = await letters.list({ side: 'outbox' });
      expect(others).toEqual([]);
      expect(letter).toMatchObject({
        ref: { side: 'outbox', connection: 'default', id },
        group: null,
        messageId: id,
        tenant: '',
        topic: 'parcel',
        key: 'k',
        type: 'parcel.sent',
        attempts: 1,
        reason: 'attempts_exhausted',
        contentType: 'application/json',
      });
      expect(letter?.error).toContain('too heavy');
      expect(letter?.diedAt).toBeInstanceOf(Date);
      expect(JSON.parse(Buffer.from(letter?.payload ?? '').toString())).toEqual({ n: 1 });
    });

    it('are replayed at their place in their key: before what waits there', async () => {
      const first = await refused(1, 'k');
      const tried = new Set<string>();
      bench.broker.failWith(({ id }) => {
        tried.add(id);
        return { kind: 'unavailable', error: new Error('away') };
      });
      for (const n of [2, 3]) await outbox.publish(Sent, { n }, { key: 'k', standalone: true });
      const found = await letters.list({ side: 'outbox' });
      const refs = found.map(({ ref }) => ref);
      expect(await letters.replay(refs)).toEqual({ done: refs, left: [] });
      expect(await letters.list({ side: 'outbox' })).toEqual([]);
      // The relay has noticed; before that what it holds in memory may go first.
      await vi.waitFor(() => expect(tried).toContain(first), { timeout: 20_000, interval: 20 });
      bench.broker.failWith(undefined);
      await vi.waitFor(() => expect(published()).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]), {
        timeout: 20_000,
      });
    });

    it('are gone for good when they are discarded', async () => {
      await refused(1, 'k');
      const refs = (await letters.list({ side: 'outbox' })).map(({ ref }) => ref);
      expect(await letters.discard(refs)).toEqual({ done: refs, left: [] });
      expect(await letters.list({ side: 'outbox' })).toEqual([]);
      expect(await letters.replay(refs)).toMatchObject({
        done: [],
        left: [
          {
            ref: refs[0],
            reason: 'unknown',
            explanation: expect.stringContaining('discarded before'),
          },
        ],
      });
      expect(await seen.outbox()).toEqual([]);
    });
  });

  describe('of the inbox', () => {
    it('keep the whole message, and say which group gave it up and why', async () => {
      const id = await givenUp(1, 'k');
      const [letter, ...others] = await letters.list({ side: 'inbox' });
      expect(others).toEqual([]);
      expect(letter).toMatchObject({
        ref: { side: 'inbox', connection: 'default', key: { group: 'parcels', id } },
        group: 'parcels',
        messageId: id,
        key: 'k',
        type: 'parcel.sent',
        reason: 'final',
        error: 'NotFoundException: no parcel 1',
      });
      expect(JSON.parse(Buffer.from(letter?.payload ?? '').toString())).toEqual({ n: 1 });
    });

    it('are handled again by their group when they are replayed, and lie there until then', async () => {
      const id = await givenUp(1, 'k');
      impossible.add(1);
      const refs = (await letters.list({ side: 'inbox' })).map(({ ref }) => ref);
      expect(await letters.replay(refs)).toEqual({ done: refs, left: [] });
      expect(await bench.kinds(id, 2)).toEqual(['buried', 'buried']);
      expect(await letters.list({ side: 'inbox' })).toMatchObject([{ messageId: id }]);
      impossible.clear();
      expect(await letters.replay(refs)).toEqual({ done: refs, left: [] });
      expect(await bench.kinds(id, 3)).toEqual(['buried', 'buried', 'committed']);
      expect(handled).toEqual([1]);
      await expect.poll(() => letters.list({ side: 'inbox' })).toEqual([]);
    });

    it('are gone for good when they are discarded, and a trailing duplicate is dropped', async () => {
      const id = await givenUp(1, 'k');
      const refs = (await letters.list({ side: 'inbox' })).map(({ ref }) => ref);
      expect(await letters.discard(refs)).toEqual({ done: refs, left: [] });
      expect(await letters.list({ side: 'inbox' })).toEqual([]);
      for (const again of [await letters.replay(refs), await letters.discard(refs)]) {
        expect(again).toMatchObject({ done: [], left: [{ ref: refs[0], reason: 'ended' }] });
      }
      await bench.send({ id, type: 'parcel.sent', payload: { n: 1 } });
      expect(await bench.kinds(id, 2)).toEqual(['buried', 'duplicate']);
      expect(handled).toEqual([]);
    });
  });

  it('are listed by topic, type, key and group, page by page in the order of their deaths', async () => {
    for (const n of [1, 2, 3]) await refused(n, `out-${n}`, n === 3 ? Billed : Sent);
    for (const n of [1, 2]) await givenUp(n, `in-${n}`);
    await givenUp(3, 'in-3', 'parcel.lost');

    const out = (filter: object) => letters.list({ side: 'outbox', ...filter }).then(keys);
    const inn = (filter: object) => letters.list({ side: 'inbox', ...filter }).then(keys);
    expect(await out({})).toEqual(['out-1', 'out-2', 'out-3']);
    expect(await out({ topic: 'bill' })).toEqual(['out-3']);
    expect(await out({ type: 'parcel.sent' })).toEqual(['out-1', 'out-2']);
    expect(await out({ key: 'out-2' })).toEqual(['out-2']);
    expect(await out({ key: 'nobody' })).toEqual([]);
    expect(await inn({})).toEqual(['in-1', 'in-2', 'in-3']);
    expect(await inn({ group: 'insurance' })).toEqual(['in-3']);
    expect(await inn({ topic: 'parcel', type: 'parcel.sent', key: 'in-1' })).toEqual(['in-1']);

    for (const side of ['outbox', 'inbox'] as const) {
      const pages: string[][] = [];
      for (let after: string | undefined; ;) {
        const page: readonly DeadLetter[] = await letters.list({
          side,
          limit: 2,
          ...(after === undefined ? {} : { after }),
        });
        if (page.length === 0) break;
        pages.push(keys(page));
        after = page.at(-1)?.cursor;
      }
      expect(pages.map(({ length }) => length)).toEqual([2, 1]);
      expect(pages.flat()).toEqual(side === 'outbox' ? await out({}) : await inn({}));
    }
  });

  it('of several connections and both sides are replayed in one call', async () => {
    await refused(1, 'k');
    await refused(2, 'k', Billed, 'billing');
    await givenUp(3, 'k');
    expect(await letters.list({ side: 'outbox' })).toHaveLength(1);
    const all = [
      ...(await letters.list({ side: 'outbox' })),
      ...(await letters.list({ side: 'outbox', connection: 'billing' })),
      ...(await letters.list({ side: 'inbox' })),
    ].map(({ ref }) => ref);
    expect(all.map(({ side, connection }) => `${side} of ${connection}`)).toEqual([
      'outbox of default',
      'outbox of billing',
      'inbox of default',
    ]);
    expect(await letters.replay(all)).toEqual({ done: all, left: [] });
    await vi.waitFor(() => expect(handled.toSorted()).toEqual([1, 3]), { timeout: 20_000 });
    await vi.waitFor(() => expect(published()).toContainEqual({ n: 2 }), { timeout: 20_000 });
  });

  it('that are not there are named with the reason, beside those that are, and nothing else is touched', async () => {
    await refused(1, 'k');
    await givenUp(2, 'k');
    const unknown: DeadLetterRef[] = [
      { side: 'outbox', connection: 'default', id: randomUUID() },
      { side: 'outbox', connection: 'default', id: 'no message has such an id' },
      {
        side: 'inbox',
        connection: 'default',
        key: inboxKeyOf('parcels', { tenant: '', source: 'nobody', id: '1' }),
      },
    ];
    const left = unknown.map(
      (ref) => expect.objectContaining({ ref, reason: 'unknown' }) as unknown,
    );
    expect(await letters.replay(unknown)).toEqual({ done: [], left });
    expect(await letters.discard(unknown)).toEqual({ done: [], left });
    expect(await letters.replay([])).toEqual({ done: [], left: [] });
    const [sent] = (await letters.list({ side: 'outbox' })).map(({ ref }) => ref);
    const [received] = (await letters.list({ side: 'inbox' })).map(({ ref }) => ref);
    expect(await letters.discard([unknown[0]!, received!, ...unknown.slice(1), sent!])).toEqual({
      done: [received, sent],
      left,
    });
  });

  it('are refused when they are more than a page, because a call has a bound', async () => {
    const one: DeadLetterRef = { side: 'outbox', connection: 'default', id: randomUUID() };
    const many = Array.from({ length: 1_001 }, () => one);
    await expect(letters.replay(many)).rejects.toThrow(/refs\.length.*1001.*at most 1,000/s);
    await expect(letters.discard(many)).rejects.toThrow(/at most 1,000/);
    await expect(letters.discard(one as never)).rejects.toThrow(/Give an array/);
  });

  it('of a connection that is not there are asked for in vain, before anything is done', async () => {
    await refused(1, 'k');
    const [there] = (await letters.list({ side: 'outbox' })).map(({ ref }) => ref);
    const nowhere: DeadLetterRef = { side: 'outbox', connection: 'nowhere', id: randomUUID() };
    await expect(letters.list({ side: 'inbox', connection: 'nowhere' })).rejects.toThrow(
      UnknownDataSourceError,
    );
    await expect(letters.discard([there!, nowhere])).rejects.toThrow(UnknownDataSourceError);
    expect(await letters.list({ side: 'outbox' })).toHaveLength(1);
  });
});
