import { Controller, type INestApplication } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { InjectRepository } from '@nestjs/typeorm';
import { HandlerTimeoutError } from '@sagaz/core';
import { defineEvent, IdempotentHandler, MessageContext, TransactionManager } from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { EntityManager, Repository } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { heldOrder } from './held-order.js';
import { ErrorLog, MessageBench } from './message-bench.js';
import { Order } from './orders.js';

interface Job {
  readonly id: string;
}
const Done = defineEvent<Job>()('job.done');

type Work = (jobs: Jobs, job: Job, context: MessageContext, manager: EntityManager) => unknown;
const door: { work: Work } = { work: () => undefined };

@Controller()
class Jobs {
  constructor(@InjectRepository(Order) readonly orders: Repository<Order>) {}

  @IdempotentHandler(Done, { timeout: '2s', retry: { attempts: 2, backoff: 1 } })
  async done(
    @Payload() job: Job,
    @Ctx() context: MessageContext,
    @TransactionManager() manager: EntityManager,
  ): Promise<void> {
    await door.work(this, job, context, manager);
  }
}

class WarningLog extends ErrorLog {
  readonly warnings: string[] = [];

  override warn(...message: unknown[]): void {
    this.warnings.push(message.map(String).join(' '));
  }
}

describe('a handler that hangs', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;
  const bench = new MessageBench();
  const log = new WarningLog();

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    app = await startService({
      databases: [{ url: db.url, poolSize: 3 }],
      controllers: [Jobs],
      sagaz: {
        service: 'jobs',
        broker: bench.driver,
        roles: { engine: false, relay: false, consume: true },
      },
    });
    bench.watch(app);
    app.useLogger(log);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(async () => {
    door.work = () => undefined;
    log.warnings.length = 0;
    await seen.clear();
  });

  /** Connections that were given up only because ROLLBACK or COMMIT was not answered behind a statement. */
  const unanswered = () => log.warnings.filter((line) => line.includes('gave no answer'));

  const insert: Work = ({ orders }, { id }) => orders.insert({ id });

  it('for a lock leaves no connection and no statement behind, and is given up in the end', async () => {
    const holder = await heldOrder(db.url);
    door.work = (jobs, job, context, manager) =>
      job.id === 'hang'
        ? jobs.orders.update({ id: 'held' }, { id: 'changed' })
        : insert(jobs, job, context, manager);
    // More of them than there are connections for handlers.
    const hung = await Promise.all(
      [1, 2, 3].map(() => bench.send({ type: 'job.done', payload: { id: 'hang' } })),
    );
    try {
      for (let n = 0; n < 5; n += 1) {
        const { id } = await bench.send({ type: 'job.done', payload: { id: `ok${n}` } });
        expect(await ended(bench, id)).toEqual({ kind: 'committed' });
      }
      for (const { id } of hung) {
        const end = await ended(bench, id);
        expect(end).toMatchObject({ kind: 'buried', reason: 'exhausted', attempts: 2 });
        expect(end.kind === 'buried' && end.error).toBeInstanceOf(HandlerTimeoutError);
      }
      const waiting = await seen.rows(
        `SELECT query FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE%'`,
      );
      expect(waiting).toEqual([]);
      expect(unanswered(), 'the limits of the handlers end them').toEqual([]);
    } finally {
      await holder.end();
    }
    expect(await seen.orders()).toEqual(['held', 'ok0', 'ok1', 'ok2', 'ok3', 'ok4']);
  });

  it('because it did not await a statement that hangs leaves no connection behind either', async () => {
    const holder = await heldOrder(db.url);
    door.work = ({ orders }) => {
      orders.update({ id: 'held' }, { id: 'changed' }).catch(() => undefined);
    };
    try {
      const { id } = await bench.send({ type: 'job.done', payload: { id: 'loose' } });
      const end = await ended(bench, id);
      expect(end).toMatchObject({ kind: 'buried', reason: 'exhausted', attempts: 2 });
      // Otherwise COMMIT would have waited for the statement for 15 s.
      expect(unanswered(), 'the limit of the handler ends it').toEqual([]);
      expect(end.kind === 'buried' && end.error).toBeInstanceOf(HandlerTimeoutError);
      await expect
        .poll(() =>
          seen.rows(`SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'`),
        )
        .toEqual([]);
    } finally {
      await holder.end();
    }
    expect(await seen.orders()).toEqual(['held']);
  });

  it('is told by the signal of its context, and what it does after that has no effect', async () => {
    let goOn: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const late: Promise<unknown>[] = [];
    let signal: AbortSignal | undefined;
    door.work = async (jobs, job, context, manager) => {
      if (late.length > 0) return insert(jobs, { id: 'second' }, context, manager);
      ({ signal } = context);
      late.push(gate.then(() => jobs.orders.insert({ id: 'late' })));
      return late[0];
    };
    const { id } = await bench.send({ type: 'job.done', payload: { id: 'x' } });
    expect(await ended(bench, id)).toEqual({ kind: 'committed' });
    expect(signal?.reason).toBeInstanceOf(HandlerTimeoutError);
    goOn();
    await Promise.allSettled(late);
    expect(await seen.orders()).toEqual(['second']);
  });
});

describe('a lost race', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let other: pg.Pool;
  let holder: pg.Client;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
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
    other = new pg.Pool({ connectionString: db.url, max: 2 });
    holder = await heldOrder(db.url);
  });
  afterAll(async () => {
    await holder.end();
    await other.end();
    await app.close();
    await db.drop();
  });

  it("of the handler's own transaction is none of its failures", async () => {
    let calls = 0;
    door.work = async (_jobs, _job, _context, manager) => {
      calls += 1;
      await manager.query("SELECT FROM orders WHERE id = 'held' FOR UPDATE NOWAIT");
    };
    const { id } = await bench.send({ type: 'job.done', payload: { id: 'a' } });
    const [first] = await bench.ends(id);
    expect(first?.outcome).toMatchObject({ kind: 'retry', counted: false });
    expect(calls).toBe(3);
    door.work = () => undefined;
    await ended(bench, id);
  });

  it('of a connection of its own is a failure like any other', async () => {
    let calls = 0;
    door.work = async () => {
      calls += 1;
      await other.query("SELECT FROM orders WHERE id = 'held' FOR UPDATE NOWAIT");
    };
    const { id } = await bench.send({ type: 'job.done', payload: { id: 'a' } });
    expect(await ended(bench, id)).toMatchObject({ kind: 'buried', reason: 'exhausted' });
    expect(calls).toBe(2);
  });
});

/** The outcome that ended a message. */
async function ended(bench: MessageBench, id: string) {
  for (let count = 1; ; count += 1) {
    const end = (await bench.ends(id, count)).at(-1)?.outcome;
    if (end !== undefined && end.kind !== 'retry') return end;
  }
}
