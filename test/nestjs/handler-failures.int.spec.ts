import { Controller, HttpException, type INestApplication } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import { HEADERS } from '@sagaz/core';
import {
  DeadLetters,
  command,
  defineCommand,
  defineEvent,
  IdempotentHandler,
  MessageContext,
  Outbox,
} from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { randomUUID } from 'node:crypto';
import { concat, defer, of, throwError, type Observable } from 'rxjs';
import { Repository } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { MessageBench } from './message-bench.js';
import { Order, OrderPlaced } from './orders.js';

interface Job {
  readonly id: string;
}
const Done = defineEvent<Job>()('job.done');
const Streamed = defineCommand<Job, { last: string }>()('job.stream');

type Work = (jobs: Jobs, job: Job, context: MessageContext) => unknown;
const door: { work: Work; stream: (jobs: Jobs, job: Job) => Observable<{ last: string }> } = {
  work: () => undefined,
  stream: () => of({ last: '' }),
};

@Controller()
class Jobs {
  constructor(
    @InjectRepository(Order) readonly orders: Repository<Order>,
    readonly outbox: Outbox,
  ) {}

  @IdempotentHandler(Done, { retry: { attempts: 2, backoff: 1 } })
  async done(@Payload() job: Job, @Ctx() context: MessageContext): Promise<unknown> {
    return door.work(this, job, context);
  }

  @IdempotentHandler(Streamed, { retry: { attempts: 2, backoff: 1 } })
  streamed(job: Job): Observable<{ last: string }> {
    return door.stream(this, job);
  }
}

describe('what a handler does wrong', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    app = await startService({
      databases: [{ url: db.url }],
      controllers: [Jobs],
      sagaz: {
        service: 'jobs',
        broker: bench.driver,
        roles: { engine: false, relay: false, consume: true },
      },
    });
    bench.watch(app);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(() => seen.clear());

  const deliver = (id: string) => bench.deliver({ type: 'job.done', payload: { id } });

  it.each([400, 401, 404, 410, 422])('an HTTP status %i: a dead letter at once', async (status) => {
    door.work = () => {
      throw new HttpException('from somewhere', status);
    };
    expect(await deliver(`http-${status}`)).toMatchObject({ kind: 'buried' });
  });

  it.each([408, 409, 425, 429, 500, 503])('an HTTP status %i: tried again', async (status) => {
    door.work = () => {
      throw new HttpException('from somewhere', status);
    };
    const { id } = await bench.send({ type: 'job.done', payload: { id: `http-${status}` } });
    // Its second attempt must not meet the work of the next test.
    expect(await bench.kinds(id, 2)).toEqual(['retry', 'buried']);
  });

  it('changes the message it is given: the run after a lost race is given the message as it came', async () => {
    const given: string[] = [];
    door.work = async ({ orders }, job, { headers }) => {
      given.push(job.id);
      await orders.insert({ id: job.id });
      Object.assign(job, { id: 'changed' });
      expect(() => Object.assign(headers, { more: 'x' })).toThrow(TypeError);
      if (given.length > 1) return;
      await orders.query(
        `DO $$ BEGIN RAISE 'could not serialize access' USING ERRCODE = '40001'; END $$`,
      );
    };
    expect(await deliver('as-it-came')).toMatchObject({ kind: 'committed' });
    expect(given).toEqual(['as-it-came', 'as-it-came']);
    expect(await seen.orders()).toEqual(['as-it-came']);
  });

  it.each([
    ['nothing that JSON knows', { toJSON: () => undefined }],
    ['undefined', undefined],
    [
      'what cannot be read',
      Object.defineProperty(new Error('x'), 'message', {
        get: () => {
          throw new Error('no');
        },
      }),
    ],
  ])('throws %s: it is tried again, and then a dead letter', async (_, thrown: unknown) => {
    door.work = () => {
      throw thrown;
    };
    const { id } = await bench.send({ type: 'job.done', payload: { id: 'odd' } });
    const ends = await bench.ends(id, 2);
    expect(ends.map(({ outcome }) => outcome.kind)).toEqual(['retry', 'buried']);
  });

  it.each([
    ['ROLLBACK', ['ROLLBACK', 'BEGIN']],
    ['COMMIT', ['COMMIT', 'BEGIN']],
  ])(
    'ends its transaction by itself with %s: that is no acknowledgement, also when it publishes nothing',
    async (_, statements) => {
      let attempts = 0;
      door.work = async ({ orders }, { id }) => {
        attempts += 1;
        if (attempts > 1) return;
        await orders.insert({ id });
        for (const sql of statements) await orders.query(sql);
      };
      const message = await bench.send({ type: 'job.done', payload: { id: 'raw' } });
      const [first] = await bench.ends(message.id, 2);
      expect(first?.outcome).toMatchObject({
        kind: 'retry',
        error: { code: 'SAGAZ_RAW_TRANSACTION_CONTROL' },
      });
    },
  );

  it.each([
    { how: 'returns', returned: true },
    { how: 'makes and forgets', returned: false },
  ])(
    '$how a command: its message is a dead letter that says so, for nobody would send the command',
    async ({ returned }) => {
      door.work = async ({ orders }, job) => {
        await orders.insert({ id: job.id });
        const made = command(Streamed, { id: job.id });
        return returned ? made : undefined;
      };
      const message = await bench.send({ type: 'job.done', payload: { id: randomUUID() } });
      const [end] = await bench.ends(message.id);
      expect(end?.outcome).toMatchObject({ kind: 'buried', reason: 'final' });
      const letters = await app.get(DeadLetters).list({ side: 'inbox' });
      expect(letters.find(({ messageId }) => messageId === message.id)?.error).toMatch(
        /The handler of 'job\.done' made the command 'job\.stream' .*Publish it instead/,
      );
      expect(await seen.rows('SELECT id FROM sagaz.message WHERE lane <> 5')).toEqual([]);
    },
  );

  it('publishes when its transaction has ended: it is told, and nothing is sent', async () => {
    let late: Promise<unknown> | undefined;
    let ended: () => void = () => undefined;
    const end = new Promise<void>((resolve) => (ended = resolve));
    door.work = async ({ outbox }, { id }) => {
      late = (async () => {
        await end;
        await outbox.publish(OrderPlaced, { id });
      })().catch((error: unknown) => error);
      await Promise.resolve();
    };
    expect(await deliver('late')).toEqual({ kind: 'committed' });
    ended();
    expect(await late).toMatchObject({ code: 'SAGAZ_TRANSACTION_ENDED' });
    expect(await seen.outbox()).toEqual([]);
  });

  describe('or right, with an Observable', () => {
    const command = (id: string) =>
      bench.send({
        type: 'job.stream',
        payload: { id },
        headers: {
          [HEADERS.role]: 'command',
          [HEADERS.idempotencyKey]: `saga:${id}`,
          [HEADERS.replyTo]: 'orders.replies',
        },
      });

    it('works in the transaction until it completes, and answers with its last value', async () => {
      door.stream = ({ orders, outbox }, { id }) =>
        concat(
          of({ last: 'no' }),
          defer(async () => {
            await orders.insert({ id });
            await outbox.publish(OrderPlaced, { id });
            return { last: id };
          }),
        );
      const { id } = await command('streamed');
      expect(await bench.kinds(id, 1)).toEqual(['committed']);
      expect(await seen.orders()).toEqual(['streamed']);
      expect(await seen.outbox()).toEqual(['order.placed', 'sagaz.reply']);
      const [reply] = await seen.rows<{ payload: Buffer }>(
        "SELECT payload FROM sagaz.message WHERE type = 'sagaz.reply'",
      );
      expect(JSON.parse(String(reply?.payload))).toEqual({ last: 'streamed' });
    });

    it('that fails after its first values leaves nothing behind', async () => {
      door.stream = ({ orders }, { id }) =>
        concat(
          defer(async () => {
            await orders.insert({ id });
            return { last: id };
          }),
          throwError(() => new Error('in the middle')),
        );
      const { id } = await command('broken');
      expect(await bench.kinds(id, 2)).toEqual(['retry', 'buried']);
      expect(await seen.orders()).toEqual([]);
    });
  });
});
