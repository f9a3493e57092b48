import { NotFoundException, type ExecutionContext, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HEADERS } from '@sagaz/core';
import { Gate } from '@sagaz/core/testing';
import { connectSagaz, SagaRefusal } from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appModule, Observer } from './app.js';
import { ErrorLog, MessageBench, type Given } from './message-bench.js';
import { OrderPlaced } from './orders.js';
import { door, ScopedStock, Stock, trace } from './stock.js';

const server = postgresServers()[0]!;

describe('a message handler', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;
  const bench = new MessageBench();
  const log = new ErrorLog();
  const globals: string[] = [];

  beforeAll(async () => {
    db = await createDatabase(server);
    seen = new Observer(db.url);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url, poolSize: 8 }],
        controllers: [Stock, ScopedStock],
        sagaz: {
          service: 'stock',
          broker: bench.driver,
          roles: { engine: false, relay: false, consume: true },
        },
      }),
      { logger: log },
    );
    app.useGlobalGuards({
      canActivate: (context: ExecutionContext) => {
        globals.push(`${context.getType()} ${context.getHandler().name}`);
        return true;
      },
    });
    connectSagaz(app);
    bench.watch(app);
    await app.startAllMicroservices();
    await app.init();
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(async () => {
    door.work = () => undefined;
    trace.length = 0;
    log.errors.length = 0;
    globals.length = 0;
    await seen.clear();
  });

  const insert: typeof door.work = async ({ orders }, { id }) => {
    await orders.insert({ id });
  };
  /** A command as an engine sends it. */
  const command = (id: string, given: Partial<Given> = {}): Given => ({
    type: 'stock.reserve',
    payload: { id },
    ...given,
    headers: {
      [HEADERS.role]: 'command',
      [HEADERS.idempotencyKey]: `saga-${id}:reserve`,
      [HEADERS.sagaId]: `saga-${id}`,
      [HEADERS.step]: 'reserve',
      [HEADERS.replyTo]: 'orders.replies',
      ...given.headers,
    },
  });
  const compensation = (id: string): Given =>
    command(id, { type: 'stock.release', headers: { [HEADERS.role]: 'compensation' } });
  const replies = async () =>
    (
      await seen.rows<{ headers: Record<string, string>; payload: Buffer }>(
        "SELECT headers, payload FROM sagaz.message WHERE type = 'sagaz.reply' ORDER BY seq",
      )
    ).map(({ headers, payload }) => ({
      status: headers[HEADERS.replyStatus],
      to: headers[HEADERS.repliesTo],
      value: JSON.parse(payload.toString() || 'null') as unknown,
    }));
  const letters = async (id: string) =>
    (
      await seen.rows<{ reason: string; error: string }>(
        'SELECT reason, error FROM sagaz.message WHERE lane = 5 AND id = $1',
        [id],
      )
    )[0];

  describe('works once for a message', () => {
    it('commits what it wrote, what it published and its reply together', async () => {
      door.work = async ({ orders, outbox }, { id }) => {
        await orders.insert({ id });
        await outbox.publish(OrderPlaced, { id }, { key: id });
      };
      expect(await bench.deliver(command('a'))).toEqual({ kind: 'committed' });
      expect(await seen.orders()).toEqual(['a']);
      expect(await seen.outbox()).toEqual(['order.placed', 'sagaz.reply']);
      expect(await replies()).toEqual([
        { status: 'ok', to: 'command', value: { reservation: 'r-a' } },
      ]);
    });

    it('says in what it publishes what caused it', async () => {
      door.work = async ({ outbox }, { id }) => {
        await outbox.publish(OrderPlaced, { id }, { key: id });
      };
      const { id } = await bench.send(command('b', { headers: { [HEADERS.correlationId]: 'c1' } }));
      await bench.ends(id);
      const [row] = await seen.rows<{ headers: Record<string, string> }>(
        "SELECT headers FROM sagaz.message WHERE type = 'order.placed'",
      );
      expect(row?.headers).toMatchObject({
        [HEADERS.causationId]: id,
        [HEADERS.correlationId]: 'c1',
      });
    });

    it('drops a second delivery', async () => {
      door.work = insert;
      const message = { ...command('c'), id: 'twice' };
      await bench.deliver(message);
      await bench.send(message);
      expect(await bench.kinds('twice', 2)).toEqual(['committed', 'duplicate']);
      expect(await seen.orders()).toEqual(['c']);
    });

    it('lets the second of two overlapping deliveries wait and drop', async () => {
      const gate = new Gate();
      let runs = 0;
      door.work = async ({ orders }, { id }) => {
        runs += 1;
        await orders.insert({ id });
        await gate.pass();
      };
      // Two keys, so that the broker hands out both at once.
      await bench.send({ ...command('d'), id: 'overlapping', key: 'one' });
      await gate.reached;
      await bench.send({ ...command('d'), id: 'overlapping', key: 'other' });
      gate.open();
      expect([...(await bench.kinds('overlapping', 2))].sort()).toEqual(['committed', 'duplicate']);
      expect(runs).toBe(1);
    });

    it('gives each group its own turn', async () => {
      door.work = insert;
      const { id } = await bench.send({ type: 'stock.counted', payload: { id: 'e' } });
      const ends = await bench.ends(id, 2);
      expect(ends.map(({ group, outcome }) => `${group} ${outcome.kind}`).sort()).toEqual([
        'auditors committed',
        'stock committed',
      ]);
      expect(trace).toEqual(['audited e']);
      expect(await seen.orders()).toEqual(['e']);
    });

    it('works in a controller that is made for each message', async () => {
      const first = await bench.deliver({ type: 'stock.scoped', payload: { id: 'f' } });
      const second = await bench.deliver({ type: 'stock.scoped', payload: { id: 'f' } });
      expect([first.kind, second.kind]).toEqual(['committed', 'committed']);
      expect(new Set(await seen.orders()).size).toBe(2);
    });

    it('is given the manager of its transaction', async () => {
      const outcome = await bench.deliver({ type: 'stock.moved', payload: { id: 'gg' } });
      expect(outcome.kind).toBe('committed');
      expect(await seen.orders()).toEqual(['gg']);
    });
  });

  describe('that throws', () => {
    it('leaves nothing behind and is tried again', async () => {
      let attempts = 0;
      door.work = async ({ orders, outbox }, { id }) => {
        attempts += 1;
        await orders.insert({ id });
        await outbox.publish(OrderPlaced, { id }, { key: id });
        if (attempts === 1) throw new Error('not yet');
      };
      const { id } = await bench.send({ type: 'stock.counted', payload: { id: 'h' } });
      const mine = (await bench.ends(id, 3)).filter(({ group }) => group === 'stock');
      expect(mine.map(({ outcome }) => outcome.kind)).toEqual(['retry', 'committed']);
      expect(await seen.outbox()).toEqual(['order.placed']);
    });

    it('is given up after its last attempt, and its message is kept', async () => {
      door.work = () => {
        throw new Error('never');
      };
      const { id } = await bench.send({ type: 'stock.counted', payload: { id: 'i' } });
      await bench.ends(id, 3);
      expect(await letters(id)).toMatchObject({ reason: 'exhausted', error: 'Error: never' });
    });

    it('is not tried again when no attempt can succeed', async () => {
      door.work = () => {
        throw new NotFoundException('no such item');
      };
      expect(await bench.deliver(command('j'))).toMatchObject({ kind: 'buried', reason: 'final' });
      expect(await replies()).toMatchObject([{ status: 'failed' }]);
    });

    it('is not acknowledged because a filter calls its failure a success', async () => {
      const { id } = await bench.send({ type: 'stock.swallowed', payload: { id: 'k' } });
      expect(await bench.kinds(id, 2)).toEqual(['retry', 'buried']);
      expect(trace).toContain('filter');
      expect(await seen.orders()).toEqual([]);
    });

    it('and catches an SQL error is not acknowledged: its transaction was rolled back', async () => {
      await seen.rows("INSERT INTO orders (id, status) VALUES ('there', 'new')");
      let attempts = 0;
      door.work = async ({ orders }) => {
        attempts += 1;
        await orders.insert({ id: 'other' });
        if (attempts === 1) await orders.insert({ id: 'there' }).catch(() => undefined);
      };
      const { id } = await bench.send({ type: 'stock.counted', payload: { id: 'l' } });
      const mine = (await bench.ends(id, 3)).filter(({ group }) => group === 'stock');
      expect(mine.map(({ outcome }) => outcome.kind)).toEqual(['retry', 'committed']);
      expect(await seen.orders()).toEqual(['other', 'there']);
    });

    it('a refusal, answers with it and leaves nothing else', async () => {
      door.work = async ({ orders, outbox }, { id }) => {
        await orders.insert({ id });
        await outbox.publish(OrderPlaced, { id }, { key: id });
        throw new SagaRefusal('out_of_stock', { id });
      };
      expect(await bench.deliver(command('m'))).toMatchObject({ kind: 'refused' });
      expect(await seen.orders()).toEqual([]);
      expect(await replies()).toEqual([
        {
          status: 'refused',
          to: 'command',
          value: { reason: 'out_of_stock', details: { id: 'm' } },
        },
      ]);
      expect(log.errors, 'a business "no" is no error').toEqual([]);
    });
  });

  describe('is not reached', () => {
    it('by a message that a guard refuses: a dead letter at once', async () => {
      const message = await bench.send({ type: 'stock.guarded' });
      expect(await bench.kinds(message.id, 1)).toEqual(['buried']);
      expect(await letters(message.id)).toMatchObject({ reason: 'rejected' });
      expect(trace).toEqual([]);
    });

    it('by a message that an interceptor answers: that is no acknowledgement', async () => {
      const { id } = await bench.send({ type: 'stock.cached' });
      expect(await bench.kinds(id, 2)).toEqual(['retry', 'buried']);
      expect((await letters(id))?.error).toContain('HandlerNotReachedError');
      expect(trace).toEqual([]);
    });

    it.each([
      ['is no JSON', new TextEncoder().encode('{"id":'), 'MalformedPayloadError'],
      ['is not UTF-8', Uint8Array.from([0x22, 0xff, 0x22]), 'MalformedPayloadError'],
      ['does not match its schema', { id: 'x' }, 'MessageValidationError'],
    ])('by a payload that %s: a dead letter at once', async (_, payload, error) => {
      const message = await bench.send({ type: 'stock.moved', payload });
      expect(await bench.kinds(message.id, 1)).toEqual(['buried']);
      expect(await letters(message.id)).toMatchObject({ reason: 'final' });
      expect((await letters(message.id))?.error).toContain(error);
    });

    it('by a payload that a pipe refuses', async () => {
      const { id } = await bench.send({ type: 'stock.piped', payload: { id: 'n' } });
      expect(await bench.kinds(id, 1)).toEqual(['buried']);
      expect(trace).toEqual(['pipe']);
    });

    it('by an event nobody handles, which is passed over', async () => {
      await bench.send({ type: 'stock.unheard', key: 'one-key' });
      await bench.deliver({ type: 'stock.scoped', payload: { id: 'o' }, key: 'one-key' });
      expect(bench.events.at(-1)?.outcome.kind).toBe('committed');
    });

    it('by a command nobody handles, which is answered and kept', async () => {
      const outcome = await bench.deliver(command('p', { type: 'stock.polish' }));
      expect(outcome).toMatchObject({ kind: 'buried', reason: 'rejected' });
      expect(await replies()).toMatchObject([{ status: 'failed', to: 'command' }]);
    });
  });

  describe('of a command', () => {
    it('does nothing when its compensation came first', async () => {
      const applied: unknown[] = [];
      door.work = (_, __, context) => void applied.push(context.applied);
      await bench.deliver(compensation('q'));
      expect(applied).toEqual(['unknown']);
      expect(await bench.deliver(command('q'))).toEqual({ kind: 'late' });
      expect(applied).toHaveLength(1);
    });

    it('tells its compensation that it was carried out', async () => {
      const applied: unknown[] = [];
      door.work = (_, __, context) => void applied.push(context.applied);
      await bench.deliver(command('r'));
      await bench.deliver(compensation('r'));
      expect(applied).toEqual([null, 'applied']);
    });

    it('repeats its reply to another message with the same key, and does nothing', async () => {
      let runs = 0;
      door.work = () => void (runs += 1);
      await bench.deliver(command('s'));
      expect(await bench.deliver(command('s'))).toEqual({ kind: 'repeated' });
      expect(runs).toBe(1);
      expect((await replies()).map(({ value }) => value)).toEqual([
        { reservation: 'r-s' },
        { reservation: 'r-s' },
      ]);
    });
  });

  it('has the global guards of the application before it', async () => {
    await bench.deliver(command('t'));
    expect(globals).toEqual(['rpc reserve']);
  });

  it('begins its transaction inside interceptors and outside pipes', async () => {
    await bench.deliver({ type: 'stock.swallowed', payload: { id: 'u' } });
    expect(trace.slice(0, 2)).toEqual(['interceptor in', 'filter']);
  });
});
