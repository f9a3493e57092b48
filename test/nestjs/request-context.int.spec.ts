import { Controller, Get, Injectable, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository } from '@nestjs/typeorm';
import {
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  UnsavedEntityMessagesError,
  recordMessage,
} from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { Repository } from 'typeorm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Observer, appModule } from './app.js';
import { Order, OrderTouched } from './orders.js';

/** The outcomes of the requests and steps so far. */
const answers: unknown[] = [];
const kept: Order[] = [];

/** Records a message on an order, and writes its row without it. */
@Injectable()
class Forgetful {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {}

  async confirm(id: string): Promise<void> {
    const order = await this.orders.findOneByOrFail({ id });
    recordMessage(order, OrderTouched, { id });
    kept.push(order);
    await this.update(id);
  }

  async update(id: string): Promise<void> {
    await this.orders.update(id, { status: 'confirmed' }).catch((error: unknown) => {
      answers.push(error);
      throw error;
    });
    answers.push('written');
  }
}

@Controller()
class Orders {
  constructor(private readonly forgetful: Forgetful) {}

  @Get('confirm')
  confirm(): Promise<void> {
    return this.forgetful.confirm('a');
  }

  @Get('update')
  update(): Promise<void> {
    return this.forgetful.update('a');
  }
}

@Saga({ name: 'forgetful' })
@Injectable()
class ForgetfulSaga extends SagaOf<object> {
  constructor(private readonly forgetful: Forgetful) {
    super();
  }

  @SagaStep({ retry: { attempts: 1 } })
  confirm(): Promise<void> {
    return this.forgetful.confirm('a');
  }
}

describe('a message recorded outside of a transaction, whose row is then written by its id', () => {
  let db: TestDatabase;
  let app: INestApplication;
  let seen: Observer;
  let url: string;

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    const root = appModule({
      databases: [{ url: db.url }],
      controllers: [Orders],
      providers: [Forgetful, ForgetfulSaga],
      sagaz: { roles: { engine: true, relay: false, consume: false } },
    });
    app = await NestFactory.create(root, { logger: false, abortOnError: false });
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
    seen = new Observer(db.url);
  });
  afterAll(async () => {
    await app.close();
    await seen.close();
    await db.drop();
  });
  beforeEach(async () => {
    answers.length = 0;
    await seen.clear();
    await seen.rows(`INSERT INTO orders (id, status) VALUES ('a', 'new')`);
  });

  it('refuses the write in the request that recorded it, and in no later one', async () => {
    await fetch(`${url}/confirm`);
    expect(answers).toEqual([expect.any(UnsavedEntityMessagesError)]);
    // One connection serves both.
    await fetch(`${url}/update`);
    expect(answers.at(-1)).toBe('written');
    expect(kept.length).toBeGreaterThan(0);
  });

  it('refuses the write in the step that recorded it, and in no request', async () => {
    const { id } = await app.get(Sagas).start(ForgetfulSaga, {});
    await expect.poll(() => answers).toEqual([expect.any(UnsavedEntityMessagesError)]);
    await fetch(`${url}/update`);
    expect(answers.at(-1)).toBe('written');
    await expect.poll(async () => (await app.get(Sagas).get(id))?.status).toBe('compensated');
  });
});
