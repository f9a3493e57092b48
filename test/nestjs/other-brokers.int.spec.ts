import { Controller, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { systemClock, type Broker, type SubscribeRequest, type Subscription } from '@sagaz/core';
import { MemoryBroker } from '@sagaz/core/memory';
import { Gate, LogBroker, LogServer } from '@sagaz/core/testing';
import { IdempotentHandler, Outbox, connectSagaz, defineEvent } from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appModule } from './app.js';
import { MessageBench } from './message-bench.js';

interface Item {
  readonly id: string;
}
const Counted = defineEvent<Item>()('stock.counted');

const entered: string[] = [];
let slow: Gate | null = null;

@Controller()
class Stock {
  // The next attempt is so far away that a broker which keeps no retries must not wait for it.
  @IdempotentHandler(Counted, { retry: { attempts: 3, backoff: '3s' } })
  async counted({ id }: Item): Promise<void> {
    entered.push(id);
    if (id === 'slow') await slow?.pass();
    if (id === 'flaky' && entered.filter((one) => one === id).length === 1) {
      throw new Error('not yet');
    }
  }
}

const server = postgresServers()[0]!;

describe('an application over a broker of another kind', () => {
  let db: TestDatabase;
  let app: INestApplication | null = null;
  let bench: MessageBench;
  beforeAll(async () => {
    db = await createDatabase(server);
  });
  beforeEach(() => {
    bench = new MessageBench();
    entered.length = 0;
    slow = null;
  });
  afterEach(async () => {
    await app?.close();
    app = null;
  });
  afterAll(() => db.drop());

  async function start(broker: Broker): Promise<INestApplication> {
    const driver = { ...bench.driver, create: async () => broker };
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        controllers: [Stock],
        sagaz: { broker: driver, roles: { engine: false, relay: true, consume: true } },
      }),
      { logger: false },
    );
    connectSagaz(app);
    bench.watch(app);
    await app.startAllMicroservices();
    await app.init();
    return app;
  }

  async function publish(to: INestApplication, ...messages: [key: string, id: string][]) {
    const outbox = to.get(Outbox);
    await outbox.transaction(async () => {
      for (const [key, id] of messages) await outbox.publish(Counted, { id }, { key });
    });
  }

  it('extends a delivery while its handler runs, which the broker would else give away', async () => {
    const gate = new Gate();
    slow = gate;
    let extended = 0;
    class Counting extends MemoryBroker {
      override subscribe(request: SubscribeRequest): Promise<Subscription> {
        return super.subscribe({
          ...request,
          handle: ({ extension, ...delivery }) => {
            if (extension === undefined) throw new Error('There is nothing to extend.');
            const extend = async (): Promise<void> => {
              await extension.extend();
              extended += 1;
              // As many as would fit four times into what the broker waits.
              if (extended === 12) gate.open();
            };
            return request.handle({ ...delivery, extension: { ...extension, extend } });
          },
        });
      }
    }
    const broker = new Counting({ clock: systemClock, redeliverAfterMs: 600 });
    await publish(await start(broker), ['k', 'slow'], ['k', 'next']);
    while (!entered.includes('next')) await pause(20);
    expect(entered).toEqual(['slow', 'next']);
    expect(extended).toBeGreaterThanOrEqual(12);
  });

  it('relays to a log in partitions, and lets what fails wait in its own database', async () => {
    const log = new LogServer({ clock: systemClock, partitions: 1 });
    const started = await start(new LogBroker({ server: log, clock: systemClock }));
    await publish(started, ['k', 'flaky'], ['k', 'second'], ['other', 'third']);
    while (!entered.includes('third') || !log.acknowledged('stock')) await pause(20);
    // The log has nothing more to do with the messages, of which two have not been handled.
    expect(entered.filter((id) => id !== 'third')).toEqual(['flaky']);
    while (!entered.includes('second')) await pause(20);
    expect(entered.filter((id) => id !== 'third')).toEqual(['flaky', 'flaky', 'second']);
    const kinds = bench.events.map(({ message, outcome }) => [message.key, outcome.kind]);
    expect(kinds).toContainEqual(['k', 'landed']);
    expect(kinds).toContainEqual(['other', 'committed']);
  });
});
