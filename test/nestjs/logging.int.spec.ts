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

@Controller()
class Stock {
  constructor(private readonly shelf: Shelf) {}

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
        providers: [FetchSaga, Shelf],
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

  it('says the trace that a message brought', async () => {
    lines.length = 0;
    const message = await bench.send({
      type: 'stock.reserve',
      headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` },
    });
    await bench.ends(message.id);
    expect(taken()).toMatchObject([{ messageId: message.id, traceId: TRACE }]);
  });

  it('says nothing of messages outside of them', () => {
    new Logger('elsewhere').log('idle');
    const line = lines.find(({ msg }) => msg === 'idle');
    expect(line).toBeDefined();
    expect(line).not.toHaveProperty('messageId');
    expect(line).not.toHaveProperty('sagaId');
  });
});
