import { Injectable, type INestApplication } from '@nestjs/common';
import { HEADERS, replyTopicOf } from '@sagaz/core';
import { Saga, SagaOf, SagaStep, WorkObservers } from '@sagaz/nestjs';
import { SagazHealth, SagazHealthModule } from '@sagaz/nestjs/health';
import { postgres } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { createApplicationRole, dropApplicationRole } from './application-role.js';
import { MessageBench, type Given } from './message-bench.js';

@Saga({ name: 'seat' })
@Injectable()
class SeatSaga extends SagaOf<undefined> {
  @SagaStep()
  async take(): Promise<void> {
    await Promise.resolve();
  }
}

/** A reply to a saga that is not here, which its store keeps as mail all the same. */
function reply(idempotencyKey: string): Given {
  return {
    type: 'stock.reserve.reply',
    topic: replyTopicOf('orders'),
    headers: {
      [HEADERS.sagaId]: randomUUID(),
      [HEADERS.idempotencyKey]: idempotencyKey,
      [HEADERS.replyStatus]: 'ok',
    },
  };
}

describe('replies to a service', () => {
  const role = `replies_${randomUUID().slice(0, 8)}`;
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;
  const bench = new MessageBench();
  const counted: string[] = [];

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    const url = await createApplicationRole(seen, db.url, role);
    // It makes the schema itself, since its start migrates.
    await seen.rows(`GRANT CREATE ON DATABASE "${new URL(db.url).pathname.slice(1)}" TO ${role}`);
    app = await startService({
      databases: [{ url }],
      providers: [SeatSaga],
      imports: [SagazHealthModule],
      sagaz: {
        store: postgres({ url }),
        broker: bench.driver,
        roles: { engine: true, relay: false, consume: false },
      },
    });
    app.get(WorkObservers).add({
      repliesFailed: ({ connection, failure }) => counted.push(`${connection} ${failure}`),
    });
  });
  afterAll(async () => {
    await app.close();
    await dropApplicationRole(seen, role);
    await seen.close();
    await db.drop();
  });

  const stored = async (): Promise<number> => {
    const [row] = await seen.rows('SELECT count(*)::int AS n FROM sagaz.saga_mail');
    return Number(row?.['n']);
  };

  it('are stored, whatever their idempotency key is: a reply that no store takes would come for ever', async () => {
    const before = await stored();
    for (const key of ['a\0b', 'half \ud800', 'x'.repeat(100_000)]) await bench.send(reply(key));
    await expect.poll(stored, { timeout: 20_000 }).toBe(before + 3);
    expect(counted).toEqual([]);
  });

  it('are tried one for all after each pause while the store refuses them, and the process is unready', async () => {
    const health = app.get(SagazHealth);
    const before = await stored();
    await seen.rows(`REVOKE INSERT ON sagaz.saga_mail FROM ${role}`);
    await Promise.all(Array.from({ length: 100 }, (_, n) => bench.send(reply(String(n)))));
    await expect
      .poll(async () => (await health.work())['replies']?.['message'], { timeout: 20_000 })
      .toMatch(
        /^Storing replies by the connection 'default' fails: .*permission denied for table saga_mail/,
      );
    // Some pauses pass, in which each of the hundred would have been refused several times.
    await expect.poll(() => counted.length, { timeout: 30_000 }).toBeGreaterThan(3);
    expect(counted.length).toBeLessThan(10);
    expect(new Set(counted)).toEqual(new Set(['default refused']));
    await seen.rows(`GRANT INSERT ON sagaz.saga_mail TO ${role}`);
    await expect.poll(stored, { timeout: 60_000 }).toBe(before + 100);
    await expect
      .poll(async () => (await health.work())['replies'], { timeout: 20_000 })
      .toEqual({ status: 'up' });
  }, 120_000);
});
