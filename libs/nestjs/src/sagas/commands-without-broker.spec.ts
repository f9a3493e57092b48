import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { BrokerDriver } from '@sagaz/core';
import { MemoryBroker, memoryStore } from '@sagaz/core/memory';
import { describe, expect, it } from 'vitest';
import {
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  SagazModule,
  command,
  defineCommand,
  type SagazOptions,
} from '../index.js';

const Greet = defineCommand<{ name: string }, string>()('greeter.greet');

@Saga({ name: 'greet' })
@Injectable()
class GreetSaga extends SagaOf<{ name: string }> {
  @SagaStep({ retry: { attempts: 5 } })
  ask() {
    return command(Greet, { name: 'Ada' });
  }
}

async function start(broker: Pick<SagazOptions, 'broker'>) {
  const module = await Test.createTestingModule({
    imports: [
      SagazModule.forRoot({
        service: 'orders',
        store: memoryStore(),
        roles: { engine: true, relay: false, consume: false },
        dataSources: [],
        ...broker,
      }),
    ],
    providers: [GreetSaga],
  }).compile();
  module.useLogger(false);
  return module.init();
}

describe('a step that returns a command', () => {
  it('fails at once where the application has no broker', async () => {
    const app = await start({});
    const handle = await app.get(Sagas).start(GreetSaga, { name: 'Ada' });
    expect(await handle.outcome({ timeout: '10s' })).toMatchObject({
      status: 'compensated',
      failure: { cause: { step: 'ask', error: { name: 'CommandWithoutBrokerError' } } },
    });
    await app.close();
  });

  it('waits for its reply where the relay is another process', async () => {
    const broker: BrokerDriver = {
      kind: 'broker',
      name: 'memory',
      create: ({ clock }) => Promise.resolve(new MemoryBroker({ clock })),
    };
    const app = await start({ broker });
    const { id } = await app.get(Sagas).start(GreetSaga, { name: 'Ada' });
    await expect
      .poll(async () => (await app.get(Sagas).get(id))?.status, { timeout: 10_000 })
      .toBe('waiting');
    const kinds = (await app.get(Sagas).history(id)).map(({ kind }) => kind);
    expect(kinds.at(-1)).toBe('step_waiting');
    await app.close();
  });
});
