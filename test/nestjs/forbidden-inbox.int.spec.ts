import { Controller, Injectable, type INestApplication } from '@nestjs/common';
import {
  IdempotentHandler,
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  WorkObservers,
  defineEvent,
} from '@sagaz/nestjs';
import { SagazHealth, SagazHealthModule } from '@sagaz/nestjs/health';
import { StoreRefusedError, postgres } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { createApplicationRole, dropApplicationRole } from './application-role.js';
import { MessageBench } from './message-bench.js';

const Placed = defineEvent<object>()('shop.placed');

let runs = 0;

@Saga({ name: 'seat' })
@Injectable()
class SeatSaga extends SagaOf<undefined> {
  @SagaStep({ transactional: true, retry: { attempts: 1 } })
  async take(): Promise<void> {
    await Promise.resolve();
  }
}

@Controller()
class Handlers {
  @IdempotentHandler(Placed, { retry: { attempts: 1 } })
  placed(): void {
    runs += 1;
  }
}

describe('a grant on tables of Sagaz that only a transaction of the application lacks', () => {
  const role = `forbidden_${randomUUID().slice(0, 8)}`;
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    const url = await createApplicationRole(seen, db.url, role);
    app = await startService({
      databases: [{ url }],
      controllers: [Handlers],
      providers: [SeatSaga],
      imports: [SagazHealthModule],
      sagaz: {
        store: postgres({ url: db.url }),
        broker: bench.driver,
        roles: { engine: true, relay: false, consume: true },
      },
    });
    bench.watch(app);
  });
  afterAll(async () => {
    await app.close();
    await dropApplicationRole(seen, role);
    await seen.close();
    await db.drop();
  });

  beforeEach(() => {
    runs = 0;
    bench.events.length = 0;
  });

  it('makes the process unready, and one message is tried for all of them after each pause', async () => {
    const health = app.get(SagazHealth);
    const counted: string[] = [];
    app.get(WorkObservers).add({
      inboxFailed: ({ connection, failure }) => counted.push(`${connection} ${failure}`),
    });
    await seen.rows(`REVOKE INSERT ON sagaz.inbox FROM ${role}`);
    const sent = await Promise.all(
      Array.from({ length: 100 }, (_, n) => bench.send({ type: 'shop.placed', key: String(n) })),
    );
    for (const { id } of sent) await bench.ends(id);
    expect((await health.work())['consumers']).toMatchObject({ status: 'down' });
    expect((await health.work())['consumers']?.['message']).toMatch(
      /^Handling 'shop\.placed' in the group 'orders' fails: .*permission denied for table inbox/,
    );
    expect(counted.length).toBeLessThan(10);
    expect(new Set(counted)).toEqual(new Set(['default refused']));
    expect(runs).toBe(0);
    await seen.rows(`GRANT INSERT ON sagaz.inbox TO ${role}`);
    await expect
      .poll(() => bench.events.filter(({ outcome }) => outcome.kind === 'committed').length, {
        timeout: 60_000,
      })
      .toBe(100);
    expect(runs).toBe(100);
    expect((await health.work())['consumers']).toEqual({ status: 'up' });
  }, 90_000);

  it('costs the message no attempt, and it is handled once the grant is there', async () => {
    await seen.rows(`REVOKE ALL ON ALL TABLES IN SCHEMA sagaz FROM ${role}`);
    const { id } = await bench.send({ type: 'shop.placed' });
    const [first] = await bench.ends(id);
    expect(first?.outcome).toMatchObject({ kind: 'retry', counted: false });
    expect(first?.outcome.kind === 'retry' && first.outcome.error).toBeInstanceOf(
      StoreRefusedError,
    );
    expect(runs).toBe(0);
    await seen.rows(`GRANT ALL ON ALL TABLES IN SCHEMA sagaz TO ${role}`);
    await expect
      .poll(() => bench.events.at(-1)?.outcome.kind, { timeout: 20_000 })
      .toBe('committed');
    expect(runs).toBe(1);
  });

  it('costs the message no attempt where a table of Sagaz is missing, as under a schema that is too old', async () => {
    await seen.rows('ALTER TABLE sagaz.inbox RENAME TO inbox_before');
    const { id } = await bench.send({ type: 'shop.placed' });
    const [first] = await bench.ends(id);
    expect(first?.outcome).toMatchObject({ kind: 'retry', counted: false });
    expect(first?.outcome.kind === 'retry' && first.outcome.error).toBeInstanceOf(
      StoreRefusedError,
    );
    await seen.rows('ALTER TABLE sagaz.inbox_before RENAME TO inbox');
    await expect
      .poll(() => bench.events.at(-1)?.outcome.kind, { timeout: 20_000 })
      .toBe('committed');
    expect(runs).toBe(1);
  });

  it('costs a transactional step no attempt either, and its saga ends once the grant is there', async () => {
    await seen.rows(`REVOKE INSERT ON sagaz.saga_journal FROM ${role}`);
    const handle = await app.get(Sagas).start(SeatSaga, undefined);
    const health = app.get(SagazHealth);
    await expect
      .poll(async () => (await health.work())['engine default']?.['message'], { timeout: 20_000 })
      .toMatch(
        /^Committing the step 'take' of the saga 'seat' fails: .*permission denied for table saga_journal/,
      );
    await seen.rows(`GRANT INSERT ON sagaz.saga_journal TO ${role}`);
    expect(await handle.outcome()).toMatchObject({ status: 'completed' });
    expect((await health.work())['engine default']).toEqual({ status: 'up' });
  }, 90_000);
});
