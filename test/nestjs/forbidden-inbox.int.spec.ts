import { Controller, type INestApplication } from '@nestjs/common';
import { IdempotentHandler, defineEvent } from '@sagaz/nestjs';
import { StoreForbiddenError, postgres } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { MessageBench } from './message-bench.js';

const Placed = defineEvent<object>()('shop.placed');

let runs = 0;

@Controller()
class Handlers {
  @IdempotentHandler(Placed, { retry: { attempts: 1 } })
  placed(): void {
    runs += 1;
  }
}

describe('a grant on the inbox that is missing inside the transaction of a handler', () => {
  const role = `forbidden_${randomUUID().slice(0, 8)}`;
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    seen = new Observer(db.url);
    await seen.rows(`CREATE ROLE ${role} LOGIN PASSWORD '${role}'`);
    await seen.rows(`GRANT CREATE, USAGE ON SCHEMA public TO ${role}`);
    for (const kind of ['SCHEMAS', 'TABLES', 'SEQUENCES']) {
      await seen.rows(`ALTER DEFAULT PRIVILEGES GRANT ALL ON ${kind} TO ${role}`);
    }
    const url = new URL(db.url);
    url.username = role;
    url.password = role;
    app = await startService({
      databases: [{ url: url.href }],
      controllers: [Handlers],
      sagaz: {
        store: postgres({ url: db.url }),
        broker: bench.driver,
        roles: { engine: false, relay: false, consume: true },
      },
    });
    bench.watch(app);
  });
  afterAll(async () => {
    await app.close();
    await seen.rows(`DROP OWNED BY ${role}`);
    await seen.rows(`DROP ROLE ${role}`);
    await seen.close();
    await db.drop();
  });

  it('costs the message no attempt, and it is handled once the grant is there', async () => {
    await seen.rows(`REVOKE ALL ON ALL TABLES IN SCHEMA sagaz FROM ${role}`);
    const { id } = await bench.send({ type: 'shop.placed' });
    const [first] = await bench.ends(id);
    expect(first?.outcome).toMatchObject({ kind: 'retry', counted: false });
    expect(first?.outcome.kind === 'retry' && first.outcome.error).toBeInstanceOf(
      StoreForbiddenError,
    );
    expect(runs).toBe(0);
    await seen.rows(`GRANT ALL ON ALL TABLES IN SCHEMA sagaz TO ${role}`);
    await expect
      .poll(() => bench.events.at(-1)?.outcome.kind, { timeout: 20_000 })
      .toBe('committed');
    expect(runs).toBe(1);
  });
});
