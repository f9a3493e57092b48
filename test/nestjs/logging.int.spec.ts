import { Controller, Injectable, Logger, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import {
  IdempotentHandler,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  Sagas,
  command,
  connectSagaz,
  defineCommand,
  defineEvent,
  sagazLogFields,
} from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { LoggerModule, Logger as PinoLogger } from 'nestjs-pino';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appModule } from './app.js';
import { MessageBench } from './message-bench.js';

interface Item {
  readonly id: string;
}
const Reserve = defineCommand<Item>()('stock.reserve');
const Wanted = defineEvent<Item>()('stock.wanted');

/** Three calls away from whoever handles: it knows nothing of messages and sagas. */
@Injectable()
class Shelf {
  readonly #logger = new Logger('Shelf');
  async take(): Promise<void> {
    await Promise.resolve();
    this.#logger.log('taken from the shelf');
  }
}

@Saga({ name: 'fetch' })
@Injectable()
class FetchSaga extends SagaOf<Item> {
  constructor(private readonly shelf: Shelf) {
    super();
  }

  @SagaStep()
  async look(): Promise<void> {
    await this.shelf.take();
  }

  @SagaStep({ dependsOn: ['look'] })
  reserve(@SagaInput() { id }: Item) {
    return command(Reserve, { id });
  }
}

@Saga({ name: 'break' })
@Injectable()
class BreakSaga extends SagaOf<Item> {
  #calls = 0;

  @SagaStep({ retry: { attempts: 2, backoff: 1 } })
  async look(): Promise<void> {
    this.#calls += 1;
    await Promise.resolve();
    throw new Error(`The shelf is not there, ${this.#calls}.`);
  }
}

@Controller()
class Stock {
  constructor(
    private readonly shelf: Shelf,
    private readonly sagas: Sagas,
  ) {}

  @IdempotentHandler(Wanted)
  async wanted(@Payload() item: Item): Promise<void> {
    await this.sagas.start(FetchSaga, item);
    await this.sagas.start(BreakSaga, item);
  }

  @IdempotentHandler(Reserve)
  async reserve(@Payload() _item: Item): Promise<void> {
    await this.shelf.take();
  }
}

const lines: Record<string, unknown>[] = [];
const sink = new Writable({
  write(chunk: Buffer, _encoding, done) {
    lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
    done();
  },
});

@Module({ imports: [LoggerModule.forRoot({ pinoHttp: [{ mixin: sagazLogFields }, sink] })] })
class Logging {}

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const server = postgresServers()[0]!;

describe('a line in the log of an application with nestjs-pino', () => {
  let db: TestDatabase;
  let app: INestApplication;
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(server);
    app = await NestFactory.create(
      appModule({
        databases: [{ url: db.url }],
        controllers: [Stock],
        providers: [FetchSaga, BreakSaga, Shelf],
        imports: [Logging],
        sagaz: {
          service: 'stock',
          broker: bench.driver,
          roles: { engine: true, relay: true, consume: true },
        },
      }),
      { bufferLogs: true },
    );
    app.useLogger(app.get(PinoLogger));
    connectSagaz(app);
    bench.watch(app);
    await app.startAllMicroservices();
    await app.init();
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });

  const told = () => lines.filter(({ context, saga }) => context === 'Sagaz' && saga === 'break');
  const textWith = (part: string): unknown => expect.stringContaining(part);
  const taken = () => lines.filter(({ msg }) => msg === 'taken from the shelf');

  it('says the saga and the step it was written in, and the message in a handler', async () => {
    const handle = await app.get(Sagas).start(FetchSaga, { id: 'a' });
    await handle.result();
    const [sent] = bench.broker.published;
    expect(taken()).toMatchObject([
      { sagaId: handle.id, saga: 'fetch', step: 'look' },
      { sagaId: handle.id, step: 'reserve', messageId: sent?.id, messageType: 'stock.reserve' },
    ]);
    expect(taken()[0]).not.toHaveProperty('messageId');
  });

  it('tells why a step failed, that it is tried again, and how its saga ended', async () => {
    lines.length = 0;
    const handle = await app.get(Sagas).start(BreakSaga, { id: 'a' });
    expect(await handle.outcome()).toMatchObject({ status: 'compensated' });
    await expect.poll(told).toHaveLength(4);
    const step = { sagaId: handle.id, saga: 'break', step: 'look' };
    expect(told()).toMatchObject([
      {
        ...step,
        level: 40,
        msg: textWith("'look' of the saga 'break' failed and is tried again in"),
      },
      { ...step, level: 40, msg: textWith('error=Error: The shelf is not there, 2.') },
      { level: 30, msg: textWith("The saga 'break' undoes what it did.") },
      { sagaId: handle.id, level: 30, msg: textWith("The saga 'break' ended as compensated.") },
    ]);
  });

  it('says the trace that a message brought', async () => {
    lines.length = 0;
    const message = await bench.send({
      type: 'stock.reserve',
      headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` },
    });
    await bench.ends(message.id);
    expect(taken()).toMatchObject([{ messageId: message.id, traceId: TRACE }]);
  });

  it('says it in all that comes of the message: sagas, their commands, and what fails in them', async () => {
    lines.length = 0;
    const message = await bench.send({
      type: 'stock.wanted',
      headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` },
    });
    await bench.ends(message.id);
    await expect.poll(() => [...taken(), ...told()]).toHaveLength(6);
    expect(taken()).toMatchObject([
      { step: 'look', traceId: TRACE },
      { step: 'reserve', messageType: 'stock.reserve', traceId: TRACE },
    ]);
    expect(told()).toEqual(told().map(() => expect.objectContaining({ traceId: TRACE })));
  });

  it('says nothing of messages outside of them', () => {
    new Logger('elsewhere').log('idle');
    const line = lines.find(({ msg }) => msg === 'idle');
    expect(line).toBeDefined();
    expect(line).not.toHaveProperty('messageId');
    expect(line).not.toHaveProperty('sagaId');
  });
});
