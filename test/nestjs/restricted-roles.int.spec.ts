import { Controller, Injectable, type INestApplication, type LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { newId, newNonce, type Broker } from '@sagaz/core';
import {
  Compensate,
  connectSagaz,
  IdempotentHandler,
  Outbox,
  Saga,
  SagaInput,
  SagaOf,
  SagaRefusal,
  Sagas,
  SagaStep,
  WorkObservers,
  command,
  defineCommand,
  defineEvent,
} from '@sagaz/nestjs';
import { MissingPrivilegesError, postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appModule, type AppSetup } from './app.js';

interface Item {
  readonly orderId: string;
}
// The commands of this process alone are meant, and not those of tests that ran before it here.
Reflect.deleteProperty(globalThis, Symbol.for('sagaz.commands-without-handler'));
const handledBy = 'payment';
const Charge = defineCommand<Item, { code: string }>()('payment.charge', { handledBy });
const Refund = defineCommand<Item>()('payment.refund', { handledBy });
/** Its replies count from anybody. */
const Remind = defineCommand<Item>()('payment.remind');
const Charged = defineEvent<Item>()('payment.charged');
const Confirmed = defineEvent<Item>()('order.confirmed');

const seen: string[] = [];

@Saga({ name: 'place-order', output: 'charge' })
@Injectable()
class PlaceOrderSaga extends SagaOf<Item, { code: string }> {
  constructor(private readonly outbox: Outbox) {
    super();
  }

  @SagaStep()
  charge(@SagaInput() { orderId }: Item) {
    return command(Charge, { orderId });
  }

  @Compensate('charge')
  refund(@SagaInput() { orderId }: Item) {
    return command(Refund, { orderId });
  }

  @SagaStep({ dependsOn: ['charge'], transactional: true })
  async confirm(@SagaInput() { orderId }: Item): Promise<void> {
    if (orderId === 'unwanted') throw new SagaRefusal('unwanted');
    await this.outbox.publish(Confirmed, { orderId });
  }
}

@Controller()
class Payments {
  constructor(private readonly outbox: Outbox) {}

  @IdempotentHandler(Charge)
  async charge({ orderId }: Item): Promise<{ code: string }> {
    const again = seen.includes(`charge ${orderId}`);
    seen.push(`charge ${orderId}`);
    // Retried, by the broker.
    if (orderId === 'flaky' && !again) throw new Error('not yet');
    await this.outbox.publish(Charged, { orderId });
    return { code: `for ${orderId}` };
  }

  @IdempotentHandler(Refund)
  async refund({ orderId }: Item): Promise<void> {
    await Promise.resolve();
    seen.push(`refund ${orderId}`);
  }

  @IdempotentHandler(Confirmed)
  async confirmed({ orderId }: Item): Promise<void> {
    await Promise.resolve();
    seen.push(`confirmed ${orderId}`);
  }
}

@Controller()
class Orders {
  @IdempotentHandler(Charged)
  async charged({ orderId }: Item): Promise<void> {
    await Promise.resolve();
    seen.push(`charged ${orderId}`);
  }
}

const WARNING =
  `Messages are not signed, and no service is named that handles '${Remind.type}': a reply to such a command counts ` +
  'from every service that knows its id. Write that service into the contract, ' +
  `defineCommand()('${Remind.type}', { handledBy: 'its-service' }), or give the services the option signing.`;

/** Every line at WARN and ERROR. */
const lines: string[] = [];
const write = (message: unknown): void => void lines.push(String(message));
const logger: LoggerService = { log: () => undefined, warn: write, error: write, fatal: write };

const bin = fileURLToPath(new URL('../../libs/cli/bin/sagaz.js', import.meta.url));
const server = postgresServers()[0]!;
const suffix = newNonce().replaceAll('-', '').slice(0, 12);
const roles = { orders: `orders_${suffix}`, payment: `payment_${suffix}` };

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('two services, each with a role of its own on the broker', () => {
  const databases: TestDatabase[] = [];
  const apps: INestApplication[] = [];
  let admin: pg.Client;
  let brokerUrl: string;

  async function sagaz(...args: string[]): Promise<string> {
    const env = { ...process.env, SAGAZ_DATABASE_URL: brokerUrl, NO_COLOR: '1' };
    const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args], { env });
    return stdout;
  }

  async function start(role: string, setup: AppSetup): Promise<INestApplication> {
    const url = new URL(brokerUrl);
    url.username = role;
    url.password = 'secret';
    const app = await NestFactory.create(
      appModule({
        ...setup,
        sagaz: {
          roles: { engine: true, relay: true, consume: true },
          broker: postgresBroker({ url: url.href, migrate: false, pollIntervalMs: 50 }),
          ...setup.sagaz,
        },
      }),
      { logger, abortOnError: false },
    );
    apps.push(app);
    connectSagaz(app);
    await app.startAllMicroservices();
    return app.init();
  }

  beforeAll(async () => {
    for (let at = 0; at < 3; at += 1) databases.push(await createDatabase(server));
    const [orderDb = '', paymentDb = ''] = databases.map(({ url }) => url);
    brokerUrl = databases[2]?.url ?? '';
    admin = new pg.Client({ connectionString: brokerUrl });
    await admin.connect();
    await sagaz('migrate', '--broker');
    for (const role of Object.values(roles)) {
      await admin.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`);
    }
    // As the guide says, and nothing else.
    for (const script of [
      await sagaz(
        ...['broker', 'grant', '--role', roles.orders, '--publish', 'payment', 'order'],
        ...['--read', 'orders.replies', 'payment', '--consume', 'orders', 'orders.engine'],
      ),
      await sagaz(
        ...['broker', 'grant', '--role', roles.payment, '--publish', 'orders.replies', 'payment'],
        ...['--read', 'payment', 'order', '--consume', 'payment'],
      ),
    ]) {
      await admin.query(script);
    }
    await start(roles.payment, {
      databases: [{ url: paymentDb }],
      controllers: [Payments],
      sagaz: { service: 'payment' },
    });
    for (let processes = 0; processes < 2; processes += 1) {
      await start(roles.orders, {
        databases: [{ url: orderDb }],
        controllers: [Orders],
        providers: [PlaceOrderSaga],
        sagaz: { service: 'orders' },
      });
    }
  });
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    for (const role of Object.values(roles)) {
      await admin.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
    await admin.end();
    for (const database of databases) await database.drop();
  });

  async function outcomeOf(orderId: string) {
    const handle = await apps[1]!.get(Sagas).start(PlaceOrderSaga, { orderId });
    return handle.outcome();
  }

  it('send commands, replies and events, with the grants that the command line prints', async () => {
    expect(await outcomeOf('a')).toEqual({ status: 'completed', output: { code: 'for a' } });
    expect(await outcomeOf('flaky')).toMatchObject({ status: 'completed' });
    expect(await outcomeOf('unwanted')).toMatchObject({ status: 'compensated' });
    await until(() => ['confirmed flaky', 'charged unwanted'].every((one) => seen.includes(one)));
    expect([...seen].sort()).toEqual([
      'charge a',
      'charge flaky',
      'charge flaky',
      'charge unwanted',
      'charged a',
      'charged flaky',
      'charged unwanted',
      'confirmed a',
      'confirmed flaky',
      'refund unwanted',
    ]);
    expect(lines.filter((line) => /grant|permission|denied|is refused/i.test(line))).toEqual([]);
  });

  it('see their own groups in health and metrics, and no others', async () => {
    const groups = await Promise.all(
      apps.map(async (app) => {
        const broker = app.get<Broker>(Symbol.for('sagaz.nestjs.broker'));
        expect(await broker.health()).toMatchObject({ state: 'up' });
        return [...new Set((await broker.lag()).map(({ group }) => group))].sort();
      }),
    );
    const own = ['orders', 'orders.engine'];
    expect(groups).toEqual([['payment'], own, own]);
  });

  it('count a reply that names no saga, which a participant in another language may send', async () => {
    const dropped: string[] = [];
    const counted = new Promise<void>((resolve) => {
      for (const app of apps.slice(1)) {
        app.get(WorkObservers).add({
          replyDropped: ({ reason }) => {
            dropped.push(reason);
            resolve();
          },
        });
      }
    });
    const broker = apps[0]!.get<Broker>(Symbol.for('sagaz.nestjs.broker'));
    const reply = {
      ...{ id: newId(), tenant: '', topic: 'orders.replies', key: 'k', type: 'sagaz.reply' },
      ...{ source: 'payment', time: new Date().toISOString(), contentType: 'application/json' },
      payload: new TextEncoder().encode('{}'),
      headers: {},
    };
    expect(await broker.publish([reply])).toEqual([{ kind: 'acknowledged' }]);
    await counted;
    expect(dropped).toEqual(['malformed']);
  });

  it('warn at the start of the commands whose replies count from everybody, and say what to write', () => {
    const warnings = lines.filter((line) => line.includes('no service is named that handles'));
    // Once for each process with sagas; the other service has none.
    expect(warnings).toEqual([WARNING, WARNING]);
  });

  it('do not start without a grant on the tables of the broker, and say which one is missing', async () => {
    await admin.query(`REVOKE DELETE ON sagaz_broker.message FROM ${roles.payment}`);
    const [orderDb = ''] = databases.map(({ url }) => url);
    const started = start(roles.payment, { databases: [{ url: orderDb }] });
    await expect(started).rejects.toThrow(MissingPrivilegesError);
    await expect(started).rejects.toThrow(
      `GRANT DELETE ON "sagaz_broker".message TO ${roles.payment};`,
    );
    await admin.query(`GRANT DELETE ON sagaz_broker.message TO ${roles.payment}`);
  });
});
