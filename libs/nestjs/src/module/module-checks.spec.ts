import { Controller, Inject, Injectable, Module, type INestApplication } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { defineEvent } from '@sagaz/core';
import { memoryStore } from '@sagaz/core/memory';
import { VirtualClock } from '@sagaz/core/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { connectSagaz, Consumers, IdempotentHandler } from '../handlers/index.js';
import { Outbox } from '../outbox/index.js';
import { SagazTestingModule, SAGAZ_CLOCK } from '../testing/index.js';
import { SagazModule } from './sagaz.module.js';

const Happened = defineEvent<object>()('thing.happened');

@Controller()
class Things {
  @IdempotentHandler(Happened)
  happened(): void {}

  /** Nest's own, on another transport. */
  @MessagePattern('other')
  other(): void {}
}

const options = (service: string) => ({
  service,
  store: memoryStore(),
  roles: { engine: true, relay: false, consume: false },
  dataSources: [],
});

const starting = (
  ...imports: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']>
) =>
  Test.createTestingModule({ imports })
    .setLogger({ log() {}, warn() {}, error() {} })
    .compile();

describe('importing SagazModule', () => {
  it('with forRoot once is enough for every module', async () => {
    @Injectable()
    class Service {
      constructor(@Inject(Outbox) readonly outbox: Outbox) {}
    }
    @Module({ providers: [Service] })
    class Feature {}
    const module = await starting(Feature, SagazModule.forRoot(options('a')));
    expect(module.get(Service, { strict: false }).outbox).toBeInstanceOf(Outbox);
    await module.close();
  });

  it('with forRoot in two modules is refused', async () => {
    @Module({ imports: [SagazModule.forRoot(options('a'))] })
    class Feature {}
    const twice = starting(Feature, SagazModule.forRoot(options('b')));
    await expect(twice).rejects.toMatchObject({ code: 'SAGAZ_MODULE_SETUP' });
    await expect(twice).rejects.toThrow('imports Sagaz 2 times');
    await expect(twice).rejects.toThrow('once, in the root module');
  });

  it('without forRoot is refused, alone and beside one with it', async () => {
    for (const others of [[], [SagazModule.forRoot(options('a'))]]) {
      const bare = starting(SagazModule, ...others);
      await expect(bare).rejects.toMatchObject({ code: 'SAGAZ_MODULE_SETUP' });
      await expect(bare).rejects.toThrow('SagazModule is imported without forRoot');
    }
  });

  it('with forRoot() or forRootAsync() that are given nothing is refused at once', () => {
    // As JavaScript would call it.
    const call =
      (name: 'forRoot' | 'forRootAsync', ...given: unknown[]) =>
      () => {
        Reflect.apply(SagazModule[name], SagazModule, given);
      };
    for (const given of [[], [null], ['orders'], [7]]) {
      expect(call('forRoot', ...given)).toThrow('the argument of forRoot is');
      expect(call('forRoot', ...given)).toThrow('give { service, store } at least');
      expect(call('forRootAsync', ...given)).toThrow('useFactory');
    }
    expect(call('forRootAsync', {})).toThrow('give { useFactory }');
  });
});

describe('an application with handlers', () => {
  let app: INestApplication;
  afterEach(() => app.close());

  it.each([
    ['connects and forgets to start', true, 'app.startAllMicroservices() was not'],
    ['forgets to connect', false, 'Call connectSagaz(app)'],
  ])('that %s says so in its log and in its health', async (_, connects, text) => {
    const errors: string[] = [];
    const clock = new VirtualClock();
    const module = await Test.createTestingModule({
      imports: [
        SagazTestingModule.forRoot({ service: 'things', roles: { engine: false, relay: false } }),
      ],
      controllers: [Things],
    })
      .overrideProvider(SAGAZ_CLOCK)
      .useValue(clock)
      .compile();
    app = module.createNestApplication({
      logger: { log() {}, warn() {}, error: (line: unknown) => void errors.push(String(line)) },
    });
    if (connects) connectSagaz(app);
    await app.init();
    expect(errors, 'not while it may still come').toHaveLength(connects ? 0 : 1);
    await clock.advance(11_000);
    expect(errors).toEqual([expect.stringContaining(text)]);
    expect(errors[0]).toContain('Things.happened');
    expect(app.get(Consumers).problem()).toContain(text);
  });

  it('that starts its transports late is left alone', async () => {
    const errors: string[] = [];
    const clock = new VirtualClock();
    const module = await Test.createTestingModule({
      imports: [
        SagazTestingModule.forRoot({ service: 'things', roles: { engine: false, relay: false } }),
      ],
      controllers: [Things],
    })
      .overrideProvider(SAGAZ_CLOCK)
      .useValue(clock)
      .compile();
    app = module.createNestApplication({
      logger: { log() {}, warn() {}, error: (line: unknown) => void errors.push(String(line)) },
    });
    connectSagaz(app);
    await app.init();
    await clock.advance(5_000);
    await app.startAllMicroservices();
    await clock.advance(11_000);
    expect(errors).toEqual([]);
    expect(app.get(Consumers).problem()).toBeNull();
  });
});
