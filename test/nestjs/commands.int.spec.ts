import { Controller, Injectable, type INestApplication } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  Compensate,
  IdempotentHandler,
  Saga,
  SagaInput,
  SagaOf,
  SagaRefusal,
  SagaStep,
  MessageContext,
  Sagas,
  StepResult,
  command,
  defineCommand,
  type PayloadCodec,
} from '@sagaz/nestjs';
import { Ctx, Payload } from '@nestjs/microservices';
import { postgresBroker } from '@sagaz/postgres';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import type { Repository } from 'typeorm';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Observer, startService } from './app.js';
import { Order } from './orders.js';

interface Reserve {
  readonly orderId: string;
}
const ReserveStock = defineCommand<Reserve, { reservation: string }>()('inventory.reserve');
const ReleaseStock = defineCommand<Reserve>()('inventory.release');

@Saga({ name: 'ship-order', output: 'ship' })
@Injectable()
class ShipOrderSaga extends SagaOf<{ id: string; lost?: boolean }, string> {
  @SagaStep()
  reserve(@SagaInput() { id }: { id: string }) {
    return command(ReserveStock, { orderId: id });
  }

  @Compensate('reserve')
  release(@SagaInput() { id }: { id: string }) {
    return command(ReleaseStock, { orderId: id });
  }

  @SagaStep({ dependsOn: ['reserve'], retry: { attempts: 1 } })
  async ship(
    @SagaInput() { id, lost }: { id: string; lost?: boolean },
    @StepResult('reserve') { reservation }: { reservation: string },
  ): Promise<string> {
    if (lost === true) throw new Error('lost at sea');
    return `${id} with ${reservation}`;
  }
}

const Weigh = defineCommand<Reserve, { grams: number }>()('inventory.weigh', {
  reply: z.object({ grams: z.number() }),
});
/** As the other service, which is older, has it. */
const WeighOfOld = defineCommand<Reserve, { grams: unknown }>()('inventory.weigh');
const Unweigh = defineCommand<Reserve>()('inventory.unweigh');

@Saga({ name: 'weigh-order', output: 'price' })
@Injectable()
class WeighOrderSaga extends SagaOf<{ id: string }, number> {
  @SagaStep({ retry: { attempts: 3, backoff: 1 } })
  weigh(@SagaInput() { id }: { id: string }) {
    return command(Weigh, { orderId: id });
  }

  @Compensate('weigh')
  unweigh(@SagaInput() { id }: { id: string }) {
    return command(Unweigh, { orderId: id });
  }

  @SagaStep({ dependsOn: ['weigh'] })
  price(@StepResult('weigh') { grams }: { grams: number }): number {
    return grams * 2;
  }
}

/** Not JSON: the id as text, and the number of a shelf as one byte. */
const ids: PayloadCodec<Reserve> = {
  contentType: 'text/x-id',
  encode: ({ orderId }) => Buffer.from(orderId),
  decode: (payload) => ({ orderId: Buffer.from(payload).toString() }),
};
const shelves: PayloadCodec<{ shelf: number }> = {
  contentType: 'application/x-shelf',
  encode: ({ shelf }) => Uint8Array.of(shelf),
  decode: ([shelf = 0]) => ({ shelf }),
};
const StoreGoods = defineCommand()('inventory.store', { codec: ids, replyCodec: shelves });
const FetchGoods = defineCommand()('inventory.fetch', { codec: ids, replyCodec: shelves });

@Saga({ name: 'store-order', output: 'label' })
@Injectable()
class StoreOrderSaga extends SagaOf<{ id: string; lost?: boolean }, string> {
  @SagaStep()
  store(@SagaInput() { id }: { id: string }) {
    return command(StoreGoods, { orderId: id });
  }

  @Compensate('store')
  fetch(@SagaInput() { id }: { id: string }) {
    return command(FetchGoods, { orderId: id });
  }

  @SagaStep({ dependsOn: ['store'], retry: { attempts: 1 } })
  label(
    @SagaInput() { id, lost }: { id: string; lost?: boolean },
    @StepResult('store') { shelf }: { shelf: number },
  ): string {
    if (lost === true) throw new Error('no paper');
    return `${id} on ${shelf}`;
  }
}

@Controller()
class StockController {
  constructor(@InjectRepository(Order) private readonly rows: Repository<Order>) {}

  @IdempotentHandler(ReserveStock)
  async reserve({ orderId }: Reserve): Promise<{ reservation: string }> {
    if (orderId.startsWith('sold-out')) throw new SagaRefusal('out_of_stock');
    await this.rows.insert({ id: orderId, status: 'reserved' });
    return { reservation: `r-${orderId}` };
  }

  @IdempotentHandler(StoreGoods)
  async store({ orderId }: Reserve): Promise<{ shelf: number }> {
    await this.rows.insert({ id: orderId, status: 'stored' });
    return { shelf: 200 };
  }

  @IdempotentHandler(FetchGoods)
  async fetch({ orderId }: Reserve): Promise<{ shelf: number }> {
    await this.rows.update({ id: orderId }, { status: 'fetched' });
    return { shelf: 200 };
  }

  @IdempotentHandler(WeighOfOld)
  async weigh({ orderId }: Reserve): Promise<{ grams: unknown }> {
    await this.rows.insert({ id: orderId, status: 'weighed' });
    return { grams: orderId === 'light' ? 5 : 'heavy' };
  }

  @IdempotentHandler(Unweigh)
  async unweigh(
    @Payload() { orderId }: Reserve,
    @Ctx() { applied }: MessageContext,
  ): Promise<void> {
    await this.rows.update({ id: orderId }, { status: `undone, ${applied}` });
  }

  @IdempotentHandler(ReleaseStock)
  async release({ orderId }: Reserve): Promise<void> {
    await this.rows.delete({ id: orderId });
  }
}

const server = postgresServers()[0]!;

describe('a saga over two services, each with its own database', () => {
  const databases: TestDatabase[] = [];
  let orders: INestApplication;
  let inventory: INestApplication;
  let stock: Observer;

  beforeAll(async () => {
    for (let i = 0; i < 3; i += 1) databases.push(await createDatabase(server));
    const [orderDb, stockDb, brokerDb] = databases.map(({ url }) => url) as [
      string,
      string,
      string,
    ];
    const broker = () => postgresBroker({ url: brokerDb });
    inventory = await startService({
      databases: [{ url: stockDb }],
      controllers: [StockController],
      sagaz: {
        service: 'inventory',
        broker: broker(),
        roles: { engine: false, relay: true, consume: true },
      },
    });
    orders = await startService({
      databases: [{ url: orderDb }],
      providers: [ShipOrderSaga, WeighOrderSaga, StoreOrderSaga],
      sagaz: {
        service: 'orders',
        broker: broker(),
        roles: { engine: true, relay: true, consume: true },
      },
    });
    stock = new Observer(stockDb);
  });
  afterAll(async () => {
    await Promise.all([orders.close(), inventory.close()]);
    await stock.close();
    for (const database of databases) await database.drop();
  });

  it('sends commands and goes on with their replies', async () => {
    const handle = await orders.get(Sagas).start(ShipOrderSaga, { id: 'a' });
    expect(await handle.outcome()).toEqual({ status: 'completed', output: 'a with r-a' });
    expect(await stock.orders()).toContain('a');
  });

  it('has the other service undo what it did', async () => {
    const handle = await orders.get(Sagas).start(ShipOrderSaga, { id: 'b', lost: true });
    expect((await handle.outcome()).status).toBe('compensated');
    expect(await stock.orders()).not.toContain('b');
  });

  it('takes a refusal for an answer', async () => {
    const handle = await orders.get(Sagas).start(ShipOrderSaga, { id: 'sold-out-1' });
    expect(await handle.outcome()).toMatchObject({
      status: 'compensated',
      failure: { cause: { kind: 'step', step: 'reserve', error: { reason: 'out_of_stock' } } },
    });
  });

  it('takes no reply for a result that does not match the contract: what was done is undone', async () => {
    const light = await orders.get(Sagas).start(WeighOrderSaga, { id: 'light' });
    expect(await light.outcome()).toEqual({ status: 'completed', output: 10 });
    const heavy = await orders.get(Sagas).start(WeighOrderSaga, { id: 'heavy' });
    const outcome = await heavy.outcome();
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: { cause: { kind: 'step', step: 'weigh', error: { reason: 'invalid_reply' } } },
    });
    expect(JSON.stringify(outcome)).toContain('does not match its schema: grams: ');
    const rows = await stock.rows(`SELECT status FROM orders WHERE id = 'heavy'`);
    expect(rows).toEqual([{ status: 'undone, applied' }]);
  });

  it('sends commands and takes replies in the format of their contracts', async () => {
    const stored = await orders.get(Sagas).start(StoreOrderSaga, { id: 'stored' });
    expect(await stored.outcome()).toEqual({ status: 'completed', output: 'stored on 200' });
    const lost = await orders.get(Sagas).start(StoreOrderSaga, { id: 'fetched', lost: true });
    expect((await lost.outcome()).status).toBe('compensated');
    const rows = await stock.rows(`SELECT status FROM orders WHERE id = 'fetched'`);
    expect(rows).toEqual([{ status: 'fetched' }]);
  });

  it('ends a hundred of them at once', async () => {
    const handles = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        orders.get(Sagas).start(ShipOrderSaga, { id: `c${i}` }),
      ),
    );
    const outcomes = await Promise.all(handles.map((handle) => handle.outcome()));
    expect(outcomes.filter(({ status }) => status === 'completed')).toHaveLength(100);
  });
});
