import { Controller, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { StoreDriver } from '@sagaz/core';
import { describe, expect, it } from 'vitest';
import {
  IdempotentHandler,
  Outbox,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  Sagas,
  SagazModule,
  StepResult,
  command,
  connectSagaz,
  defineCommand,
  defineEvent,
} from '../index.js';
import { MemoryBroker, SAGAZ_CLOCK, SagazTestingModule, VirtualClock } from './index.js';

const Greet = defineCommand<{ name: string }, string>()('greeter.greet');
const Greeted = defineEvent<{ name: string }>()('greeter.greeted');

@Controller()
class Greeter {
  constructor(private readonly outbox: Outbox) {}

  @IdempotentHandler(Greet)
  async greet({ name }: { name: string }): Promise<string> {
    await this.outbox.publish(Greeted, { name });
    return `Hello, ${name}`;
  }
}

let failures = 0;

@Saga({ name: 'greet', output: 'shout' })
@Injectable()
class GreetSaga extends SagaOf<{ name: string }, string> {
  @SagaStep()
  ask(@SagaInput() { name }: { name: string }) {
    return command(Greet, { name });
  }

  @SagaStep({ dependsOn: ['ask'], retry: { attempts: 3, backoff: '1m', jitter: 0 } })
  async shout(@StepResult('ask') greeting: string): Promise<string> {
    if (failures > 0) {
      failures -= 1;
      throw new Error('hoarse');
    }
    return greeting.toUpperCase();
  }
}

const unused: StoreDriver = {
  kind: 'store',
  name: 'unused',
  create: () => Promise.reject(new Error('the application is not to touch its database')),
};
const sagaz = SagazModule.forRoot({
  service: 'orders',
  store: unused,
  roles: { relay: false, consume: false },
});

@Module({ imports: [sagaz], providers: [GreetSaga], controllers: [Greeter] })
class AppModule {}

async function start(clock?: VirtualClock) {
  const builder = Test.createTestingModule({ imports: [AppModule] })
    .overrideModule(sagaz)
    .useModule(SagazTestingModule.forRoot({ service: 'orders' }));
  if (clock !== undefined) builder.overrideProvider(SAGAZ_CLOCK).useValue(clock);
  const app = connectSagaz((await builder.compile()).createNestApplication({ logger: false }));
  await app.startAllMicroservices();
  await app.init();
  return app;
}

describe('SagazTestingModule', () => {
  it('runs sagas, commands and handlers of the application without any server', async () => {
    const app = await start();
    const handle = await app.get(Sagas).start(GreetSaga, { name: 'Ada' });
    expect(await handle.outcome()).toEqual({ status: 'completed', output: 'HELLO, ADA' });
    const types = app.get(MemoryBroker).published.map(({ type }) => type);
    expect(types.sort()).toEqual(['greeter.greet', 'greeter.greeted', 'sagaz.reply']);
    await app.close();
  });

  it('publishes what is committed, and nothing else', async () => {
    const app = await start();
    const outbox = app.get(Outbox);
    const broker = app.get(MemoryBroker);
    await expect(
      outbox.transaction(async () => {
        await outbox.publish(Greeted, { name: 'nobody' });
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    const id = await outbox.transaction(() => outbox.publish(Greeted, { name: 'Ada' }));
    await expect.poll(() => broker.published.map((message) => message.id)).toEqual([id]);
    await app.close();
  });

  it('lets the test hold the time', async () => {
    const clock = new VirtualClock();
    failures = 2;
    const app = await start(clock);
    const handle = await app.get(Sagas).start(GreetSaga, { name: 'Ada' });
    expect(await clock.until(handle.outcome({ timeout: '1h' }))).toEqual({
      status: 'completed',
      output: 'HELLO, ADA',
    });
    await clock.until(app.close());
  });
});
