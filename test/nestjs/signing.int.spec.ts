import { Controller, Injectable, type INestApplication } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  HEADERS,
  MessageSigning,
  newId,
  systemClock,
  type Broker,
  type Message,
} from '@sagaz/core';
import {
  IdempotentHandler,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  Sagas,
  WorkObservers,
  command,
  defineCommand,
  factHandlers,
} from '@sagaz/nestjs';
import { postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import type { Repository } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { Order } from './orders.js';

interface Item {
  readonly orderId: string;
}
const Reserve = defineCommand<Item, { place: string }>()('stock.reserve', { handledBy: 'stock' });
/** Handled by nobody here: the test answers in its handler's place, or pretends to. */
const Charge = defineCommand<Item, { code: string }>()('payment.charge', { handledBy: 'payment' });

@Saga({ name: 'reserve', output: 'reserve' })
@Injectable()
class ReserveSaga extends SagaOf<Item, { place: string }> {
  @SagaStep()
  reserve(@SagaInput() { orderId }: Item) {
    return command(Reserve, { orderId });
  }
}

@Saga({ name: 'charge', output: 'charge' })
@Injectable()
class ChargeSaga extends SagaOf<Item, { code: string }> {
  @SagaStep()
  charge(@SagaInput() { orderId }: Item) {
    return command(Charge, { orderId });
  }
}

@Controller()
class StockController {
  constructor(@InjectRepository(Order) private readonly rows: Repository<Order>) {}

  @IdempotentHandler(Reserve)
  async reserve({ orderId }: Item): Promise<{ place: string }> {
    await this.rows.insert({ id: orderId, status: 'reserved' });
    return { place: `for ${orderId}` };
  }
}

const OLD = 'the old key of both services, of thirty-two bytes';
const NEW = 'the new key of both services, of thirty-two bytes';
const known = new MessageSigning({ keys: [NEW] });
const unknown = new MessageSigning({ keys: ['the key of somebody else, of thirty-two bytes'] });
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const server = postgresServers()[0]!;
const body = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

describe('two services that sign their messages, on one broker', () => {
  const databases: TestDatabase[] = [];
  const counted: string[] = [];
  let orders: INestApplication;
  let stock: INestApplication;
  let ofOrders: Observer;
  let ofStock: Observer;
  let ofBroker: Observer;
  /** The means of somebody who may write to the broker's database. */
  let stranger: Broker;

  beforeAll(async () => {
    for (let at = 0; at < 3; at += 1) databases.push(await createDatabase(server));
    const [orderDb = '', stockDb = '', brokerDb = ''] = databases.map(({ url }) => url);
    const broker = () => postgresBroker({ url: brokerDb });
    // In the middle of a rotation: one signs with the new key by now, the other still with the old one.
    stock = await startService({
      databases: [{ url: stockDb }],
      controllers: [StockController],
      sagaz: {
        service: 'stock',
        broker: broker(),
        roles: { engine: false, relay: true, consume: true },
        signing: { keys: [OLD, NEW] },
      },
    });
    orders = await startService({
      databases: [{ url: orderDb }],
      providers: [ReserveSaga, ChargeSaga],
      sagaz: {
        service: 'orders',
        broker: broker(),
        roles: { engine: true, relay: true, consume: true },
        signing: { keys: [NEW, OLD] },
      },
    });
    orders.get(WorkObservers).add({
      facts: () => factHandlers({ reply_ignored: ({ reason }) => counted.push(reason) }),
    });
    [ofOrders, ofStock, ofBroker] = [orderDb, stockDb, brokerDb].map(
      (url) => new Observer(url),
    ) as [Observer, Observer, Observer];
    stranger = await broker().create({ service: 'x', logger: quiet, clock: systemClock });
  });
  afterAll(async () => {
    await Promise.all([orders.close(), stock.close(), stranger.close()]);
    await Promise.all([ofOrders, ofStock, ofBroker].map((observer) => observer.close()));
    for (const database of databases) await database.drop();
  });

  async function rowsOf<R extends object>(
    observer: Observer,
    text: string,
    least = 1,
  ): Promise<R[]> {
    const rows = await observer.rows<R & Record<string, unknown>>(text);
    if (rows.length >= least) return rows;
    await new Promise((resolve) => setTimeout(resolve, 20));
    return rowsOf(observer, text, least);
  }

  it('understand each other while keys are rotated', async () => {
    const handle = await orders.get(Sagas).start(ReserveSaga, { orderId: 'a' });
    expect(await handle.outcome()).toEqual({ status: 'completed', output: { place: 'for a' } });
  });

  it("carry out no stranger's commands, and answer them to nobody", async () => {
    const forged = (orderId: string): Message => ({
      id: newId(),
      tenant: '',
      topic: 'stock',
      key: orderId,
      type: Reserve.type,
      source: 'orders',
      time: new Date().toISOString(),
      contentType: 'application/json',
      payload: body({ orderId }),
      headers: {
        [HEADERS.role]: 'command',
        [HEADERS.sagaId]: newId(),
        [HEADERS.idempotencyKey]: `${orderId}:reserve`,
        [HEADERS.replyTo]: 'orders.replies',
      },
    });
    await stranger.publish([
      forged('unsigned'),
      unknown.sign(forged('signed by another')),
      { ...known.sign(forged('signed')), payload: body({ orderId: 'with another body' }) },
    ]);
    const letters = await rowsOf(ofStock, 'SELECT reason FROM sagaz.message WHERE lane = 5', 3);
    expect(letters.map((row) => Object.values(row)[0]).sort()).toEqual([
      'bad_signature',
      'bad_signature',
      'unsigned',
    ]);
    expect(await ofStock.orders()).toEqual(['a']);
    expect(await ofStock.rows('SELECT FROM sagaz.message WHERE lane <> 5')).toEqual([]);
  });

  it('take the reply of a signer, and no other, each with its reason in the history', async () => {
    const handle = await orders.get(Sagas).start(ChargeSaga, { orderId: 'b' });
    interface Sent {
      readonly id: string;
      readonly headers: Readonly<Record<string, string>>;
    }
    const [sent] = await rowsOf<Sent>(
      ofBroker,
      "SELECT id, headers FROM sagaz_broker.message WHERE topic = 'payment'",
    );
    if (sent === undefined) throw new Error('No command came.');
    const reply = (code: string, more: { source?: string; answers?: string } = {}): Message => ({
      id: newId(),
      tenant: '',
      topic: 'orders.replies',
      key: handle.id,
      type: 'sagaz.reply',
      source: more.source ?? 'payment',
      time: new Date().toISOString(),
      contentType: 'application/json',
      payload: body({ code }),
      headers: {
        [HEADERS.role]: 'reply',
        [HEADERS.repliesTo]: 'command',
        [HEADERS.replyStatus]: 'ok',
        [HEADERS.sagaId]: handle.id,
        [HEADERS.idempotencyKey]: sent.headers[HEADERS.idempotencyKey] ?? '',
        [HEADERS.causationId]: more.answers ?? sent.id,
      },
    });
    const replayed = { ...known.sign(reply('true')), payload: body({ code: 'forged' }) };
    const forgeries: readonly (readonly [Message, string])[] = [
      [reply('forged'), 'unsigned'],
      [unknown.sign(reply('forged')), 'bad_signature'],
      [replayed, 'bad_signature'],
      [known.sign(reply('forged', { source: 'reports' })), 'wrong_source'],
      [known.sign(reply('forged', { answers: newId() })), 'unknown_command'],
      // The signature of the command itself, which everybody can read.
      [
        {
          ...reply('forged'),
          headers: {
            ...reply('forged').headers,
            [HEADERS.signature]: sent.headers[HEADERS.signature] ?? '',
          },
        },
        'bad_signature',
      ],
    ];
    const ignored = "SELECT data FROM sagaz.saga_journal_readable WHERE kind = 'mail_ignored'";
    for (const [at, [forged, reason]] of forgeries.entries()) {
      await stranger.publish([forged]);
      const entries = await rowsOf<{ data: string }>(
        ofOrders,
        `${ignored} ORDER BY revision`,
        at + 1,
      );
      expect(entries.at(-1)?.data).toContain(`"code":"${reason}"`);
    }
    expect(counted).toEqual(forgeries.map(([, reason]) => reason));
    await stranger.publish([known.sign(reply('true'))]);
    expect(await handle.outcome()).toEqual({ status: 'completed', output: { code: 'true' } });
  });
});
