import { Controller, type INestApplication } from '@nestjs/common';
import { defineEvent, HandlerObservers, IdempotentHandler } from '@sagaz/nestjs';
import { postgresBroker } from '@sagaz/postgres';
import { placeOfKey, type InboxEvent } from '@sagaz/core';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Observer, startService } from './app.js';

interface Bill {
  readonly id: string;
}
const Billed = defineEvent<Bill>()('bill.sent');

@Controller()
class Bills {
  @IdempotentHandler(Billed, { retry: { attempts: 2, backoff: '3h', jitter: 0 } })
  billed({ id }: Bill): void {
    if (id === 'failing') throw new Error('the archive is closed until the evening');
  }
}

describeEachPostgres('a retry in hours', (server) => {
  let db: TestDatabase;
  let seen: Observer;
  const events: InboxEvent[] = [];
  let changed: () => void = () => undefined;

  beforeAll(async () => {
    db = await createDatabase(server);
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await seen.close();
    await db.drop();
  });

  async function start(): Promise<INestApplication> {
    const app = await startService({
      databases: [{ url: db.url }],
      controllers: [Bills],
      sagaz: {
        service: 'bills',
        broker: postgresBroker({ pollIntervalMs: 50 }),
        roles: { engine: false, relay: false, consume: true },
      },
    });
    app.get(HandlerObservers).add({
      ended: (event) => {
        events.push(event);
        changed();
      },
    });
    return app;
  }

  async function ended(count: number): Promise<string[]> {
    while (events.length < count) await new Promise<void>((resolve) => (changed = resolve));
    return events.map(({ message, outcome }) => `${message.key} ${outcome.kind}`);
  }

  let number = 0;
  async function publish(key: string, id: string): Promise<void> {
    number += 1;
    // All of one slot, so that nothing but the key tells them apart. The lock is the topic's, as the
    // broker takes it: the group that joins meanwhile waits for it.
    await seen.rows(
      `SELECT sagaz_broker.publish(ARRAY[$4::int], '{7}', ARRAY[$1], '{""}', '{bill}', ARRAY[$2], '{bill.sent}', '{test}',
        '{2026-01-01T00:00:00Z}', '{application/json}', '{"{}"}', ARRAY[convert_to($3, 'UTF8')])`,
      [`m-${number}`, key, JSON.stringify({ id }), placeOfKey('', 'bill', '').lock],
    );
  }

  it('waits in the database, over a restart too, holds back its key alone, and is counted', async () => {
    let app = await start();
    await publish('a', 'failing');
    expect(await ended(1)).toEqual(['a retry']);
    await publish('a', 'next');
    await publish('b', 'other');
    expect(await ended(2)).toEqual(['a retry', 'b committed']);
    await app.close();
    const [row] = await seen.rows<{ status: string; hours: string }>(
      `SELECT sagaz_broker.lane_status(lane) AS status, round(extract(epoch FROM due_at - clock_timestamp()) / 3600) AS hours
       FROM sagaz_broker.message WHERE id = 'm-1'`,
    );
    expect(row).toMatchObject({ status: 'retrying', hours: '3' });
    app = await start();
    await publish('b', 'other');
    expect(await ended(3)).toEqual(['a retry', 'b committed', 'b committed']);
    // Three hours later.
    await seen.rows(`UPDATE sagaz_broker.message SET due_at = clock_timestamp() WHERE id = 'm-1'`);
    const all = await ended(5);
    expect(all.slice(3)).toEqual(['a buried', 'a committed']);
    expect(events[3]?.outcome).toMatchObject({ reason: 'exhausted', attempts: 2 });
    await app.close();
  });
});
