import {
  Controller,
  Global,
  Injectable,
  Module,
  UseInterceptors,
  type INestApplication,
  type NestInterceptor,
  type OnModuleDestroy,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx } from '@nestjs/microservices';
import { systemClock, type BrokerDriver } from '@sagaz/core';
import { MemoryBroker } from '@sagaz/core/memory';
import { Gate } from '@sagaz/core/testing';
import {
  DeadLetters,
  DuplicateHandlerError,
  HandlerSetupError,
  IdempotentHandler,
  MessageContext,
  NonRetryableError,
  SagazServer,
  connectSagaz,
  defineEvent,
} from '@sagaz/nestjs';
import { SagazHealth, SagazHealthModule } from '@sagaz/nestjs/health';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { of } from 'rxjs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appModule, Observer, type AppSetup } from './app.js';
import { ErrorLog, MessageBench } from './message-bench.js';

interface Item {
  readonly id: string;
}
const Counted = defineEvent<Item>()('stock.counted');

const events: string[] = [];
let gate: Gate | null = null;

/** A client that handlers use: there from onModuleInit to onModuleDestroy. */
@Injectable()
class Warehouse implements OnModuleInit, OnModuleDestroy {
  #open = false;

  onModuleInit(): void {
    this.#open = true;
    events.push('client open');
  }
  onModuleDestroy(): void {
    this.#open = false;
    events.push('client closed');
  }
  count(id: string): void {
    events.push(this.#open ? `counted ${id}` : `${id} without a client`);
  }
}

/** Imported before Sagaz, as every module whose clients handlers use: what the root module itself
 * provides, Nest destroys first of all. */
@Global()
@Module({ providers: [Warehouse], exports: [Warehouse] })
class WarehouseModule {}

@Controller()
class Stock {
  constructor(private readonly warehouse: Warehouse) {}

  @IdempotentHandler(Counted)
  async counted({ id }: Item): Promise<void> {
    events.push(`entered ${id}`);
    await gate?.pass();
    this.warehouse.count(id);
  }
}

const server = postgresServers()[0]!;

describe('an application that handles messages', () => {
  let db: TestDatabase;
  let bench: MessageBench;
  let log: ErrorLog;
  const apps: INestApplication[] = [];

  beforeAll(async () => {
    db = await createDatabase(server);
  });
  afterAll(() => db.drop());
  beforeEach(() => {
    bench = new MessageBench();
    log = new ErrorLog();
    events.length = 0;
    gate = null;
  });
  afterEach(async () => {
    gate?.open();
    for (const app of apps.splice(0)) await app.close();
  });

  const create = async (setup: Partial<AppSetup> = {}, broker: BrokerDriver = bench.driver) => {
    const app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        controllers: [Stock],
        ...setup,
        imports: [WarehouseModule, ...(setup.imports ?? [])],
        sagaz: {
          service: 'stock',
          broker,
          roles: { engine: false, relay: false, consume: true },
          ...setup.sagaz,
        },
      }),
      { logger: log, abortOnError: false },
    );
    apps.push(app);
    bench.watch(app);
    return app;
  };
  const ready = async (app: INestApplication) =>
    Object.entries(await app.get(SagazHealth, { strict: false }).work());

  it('takes no message before its providers are ready, and then those that wait', async () => {
    const { id } = await bench.send({ type: 'stock.counted', payload: { id: 'early' } });
    const app = connectSagaz(await create());
    await app.startAllMicroservices();
    expect(events, 'Nest listens, and nothing is initialised yet').toEqual([]);
    await app.init();
    await bench.ends(id);
    expect(events).toEqual(['client open', 'entered early', 'counted early']);
  });

  it('takes messages when it is initialised first and listens later', async () => {
    const app = connectSagaz(await create({ imports: [SagazHealthModule] }));
    await app.init();
    expect(log.errors).toEqual([]);
    expect(JSON.stringify(await ready(app))).toContain('"status":"down"');
    await app.startAllMicroservices();
    await bench.deliver({ type: 'stock.counted', payload: { id: 'late' } });
    expect(events).toContain('counted late');
    expect(JSON.stringify(await ready(app))).not.toContain('down');
  });

  it('says that it is not connected, in the log and to whoever asks whether it is ready', async () => {
    const app = await create({ imports: [SagazHealthModule] });
    await app.init();
    expect(log.errors).toEqual([
      expect.stringMatching(/Stock\.counted would handle them.*connectSagaz\(app\)/),
    ]);
    expect(JSON.stringify(await ready(app))).toMatch(/connectSagaz\(app\).*"status":"down"/);
  });

  it('needs no connectSagaz where Nest is given the strategy by hand', async () => {
    const app = await create();
    app.connectMicroservice({ strategy: app.get(SagazServer) }, { inheritAppConfig: true });
    await app.startAllMicroservices();
    await app.init();
    expect(log.errors).toEqual([]);
    await bench.deliver({ type: 'stock.counted', payload: { id: 'by hand' } });
    expect(events).toContain('counted by hand');
  });

  it('ends what it handles before the clients it uses are closed', async () => {
    gate = new Gate();
    const app = connectSagaz(await create());
    await app.startAllMicroservices();
    await app.init();
    const { id } = await bench.send({ type: 'stock.counted', payload: { id: 'last' } });
    await gate.reached;
    const closing = app.close();
    // Time enough for a shutdown that does not wait to close the client.
    await new Promise((resolve) => setTimeout(resolve, 100));
    gate.open();
    await closing;
    apps.length = 0;
    expect(await bench.kinds(id, 1)).toEqual(['committed']);
    expect(events).toEqual(['client open', 'entered last', 'counted last', 'client closed']);
  });

  it('subscribes again until the broker lets it', async () => {
    let refusals = 0;
    class Moody extends MemoryBroker {
      override async subscribe(...request: Parameters<MemoryBroker['subscribe']>) {
        refusals += 1;
        if (refusals === 1) throw new Error('still starting');
        return super.subscribe(...request);
      }
    }
    const broker = new Moody({ clock: systemClock });
    const driver = { ...bench.driver, create: async () => broker };
    const app = connectSagaz(await create({ imports: [SagazHealthModule] }, driver));
    await app.startAllMicroservices();
    await app.init();
    expect(JSON.stringify(await ready(app))).toContain('still starting');
    await bench.send({ type: 'stock.counted', payload: { id: 'patient' } });
    const [message] = bench.broker.published;
    await broker.publish(message === undefined ? [] : [message]);
    await bench.ends(message?.id ?? '');
    expect(events).toContain('counted patient');
    expect(JSON.stringify(await ready(app))).not.toContain('down');
  });

  it('has one of two processes wait and drop when both are given a message', async () => {
    gate = new Gate();
    const other = new MessageBench();
    const [one, two] = [await create(), await create({}, other.driver)];
    other.watch(two);
    for (const app of [one, two]) {
      connectSagaz(app);
      await app.startAllMicroservices();
      await app.init();
    }
    const message = { id: 'shared', type: 'stock.counted', payload: { id: 'shared' } };
    await bench.send(message);
    await gate.reached;
    await other.send(message);
    gate.open();
    await bench.ends('shared');
    const ends = await other.ends('shared', 1);
    const kinds = ends.map(({ outcome }) => outcome.kind);
    if (kinds[0] === 'retry') expect(await other.kinds('shared', 2)).toContain('duplicate');
    else expect(kinds).toEqual(['duplicate']);
    expect(events.filter((event) => event === 'entered shared')).toHaveLength(1);
  });

  it('handles in the transaction of the connection that a handler names', async () => {
    const billing = await createDatabase(server);
    const seen = new Observer(billing.url);
    try {
      const app = connectSagaz(
        await create({
          databases: [{ url: db.url }, { url: billing.url, name: 'billing' }],
          controllers: [BillingStock],
        }),
      );
      await app.startAllMicroservices();
      await app.init();
      const outcome = await bench.deliver({ type: 'stock.counted', payload: { id: 'b' } });
      expect(outcome.kind).toBe('committed');
      expect(await seen.rows('SELECT id FROM sagaz.inbox')).toHaveLength(1);
      await app.close();
      apps.length = 0;
    } finally {
      await seen.close();
      await billing.drop();
    }
  });

  it('handles a dead letter again when a person asks for it', async () => {
    const app = connectSagaz(await create({ controllers: [Sullen] }));
    await app.startAllMicroservices();
    await app.init();
    sullen = true;
    const { id } = await bench.send({ type: 'stock.counted', payload: { id: 'again' } });
    await bench.ends(id);
    sullen = false;
    const letters = app.get(DeadLetters);
    const found = await letters.list({ side: 'inbox' });
    expect(found).toMatchObject([{ messageId: id, reason: 'final', group: 'stock' }]);
    expect((await letters.replay(found.map(({ ref }) => ref))).done).toHaveLength(1);
    expect(await bench.kinds(id, 2)).toEqual(['buried', 'committed']);
  });

  describe('does not start', () => {
    const start = async (controller: Type, sagaz: AppSetup['sagaz'] = {}) => {
      const app = await create({ controllers: [controller], sagaz });
      connectSagaz(app);
      await app.startAllMicroservices();
      await app.init();
    };

    it('with two methods for one message and group, and names both', async () => {
      const error: unknown = await start(Twice).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      apps.length = 0;
      expect(error).toBeInstanceOf(DuplicateHandlerError);
      expect(String(error)).toContain(
        "Twice.one and Twice.two both handle 'stock.counted' for the consumer group 'stock'",
      );
    });

    it('with an interceptor that would answer inside the transaction', async () => {
      await expect(start(InsideOut)).rejects.toThrow(/Put @UseInterceptors below/);
    });
  });

  it('is not even compiled into one with a parameter that Nest would leave undefined', () => {
    expect(() => {
      class Half {
        counted(_item: Item, _context: MessageContext): void {
          // Never called.
        }
      }
      Ctx()(Half.prototype, 'counted', 1);
      const descriptor = Object.getOwnPropertyDescriptor(Half.prototype, 'counted');
      IdempotentHandler(Counted)(Half.prototype, 'counted', descriptor ?? {});
    }).toThrow(HandlerSetupError);
  });
});

let sullen = false;
@Controller()
class Sullen {
  @IdempotentHandler(Counted)
  counted(): void {
    if (sullen) throw new NonRetryableError('not in the mood');
  }
}

@Controller()
class Twice {
  @IdempotentHandler(Counted)
  one(): void {
    // Never called.
  }
  @IdempotentHandler(Counted)
  two(): void {
    // Never called.
  }
}

class Answering implements NestInterceptor {
  intercept() {
    return of('from the cache');
  }
}

@Controller()
class InsideOut {
  @UseInterceptors(Answering)
  @IdempotentHandler(Counted)
  counted(): void {
    // Never called.
  }
}

@Controller()
class BillingStock {
  @IdempotentHandler(Counted, { connection: 'billing' })
  counted(): void {
    // That it is done is written where it worked.
  }
}
