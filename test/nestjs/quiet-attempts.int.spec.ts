import {
  Catch,
  Controller,
  Injectable,
  type ExceptionFilter,
  type INestApplication,
  type LoggerService,
} from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import {
  IdempotentHandler,
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  connectSagaz,
  defineEvent,
} from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { EMPTY } from 'rxjs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { appModule } from './app.js';
import { MessageBench } from './message-bench.js';

const Tried = defineEvent<object>()('log.tried');
const Filtered = defineEvent<object>()('log.filtered');

class Unlucky extends Error {}
class Noticed extends Error {}

@Controller()
class Handlers {
  tries = 0;

  @IdempotentHandler(Tried, { retry: { attempts: 3, backoff: 1 } })
  tried(): void {
    this.tries += 1;
    if (this.tries < 3) throw new Unlucky();
  }

  @IdempotentHandler(Filtered, { retry: { attempts: 1 } })
  filtered(): void {
    throw new Noticed();
  }
}

@Saga({ name: 'unlucky' })
@Injectable()
class UnluckySaga extends SagaOf<object> {
  tries = 0;

  @SagaStep({ retry: { attempts: 3, backoff: 1 } })
  remote(): void {
    this.tries += 1;
    if (this.tries < 3) throw new Unlucky();
  }

  @SagaStep({ dependsOn: ['remote'], transactional: true, retry: { attempts: 3, backoff: 1 } })
  local(): void {
    this.tries += 1;
    if (this.tries < 6) throw new Unlucky();
  }
}

const noticed: unknown[] = [];

@Catch(Noticed)
class NoticingFilter implements ExceptionFilter {
  catch(error: Noticed): unknown {
    noticed.push(error);
    return EMPTY;
  }
}

class Lines implements LoggerService {
  readonly all: string[] = [];
  log(): void {}
  warn(text: unknown): void {
    this.all.push(`WARN ${String(text)}`);
  }
  error(text: unknown): void {
    this.all.push(`ERROR ${String(text)}`);
  }
}

describe('the log of attempts that are repeated', () => {
  let db: TestDatabase;
  let app: INestApplication;
  const lines = new Lines();
  const bench = new MessageBench();

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
    const module = appModule({
      databases: [{ url: db.url }],
      controllers: [Handlers],
      providers: [UnluckySaga, { provide: APP_FILTER, useClass: NoticingFilter }],
      sagaz: { broker: bench.driver, roles: { engine: true, relay: false, consume: true } },
    });
    app = await NestFactory.create(module, { logger: lines });
    connectSagaz(app);
    await app.startAllMicroservices();
    await app.init();
    bench.watch(app);
  });
  afterAll(async () => {
    await app.close();
    await db.drop();
  });
  beforeEach(() => lines.all.splice(0));

  it('has one warning for each attempt of a handler, and no error', async () => {
    const { id } = await bench.send({ type: 'log.tried' });
    expect((await bench.kinds(id, 3)).at(-1)).toBe('committed');
    expect(lines.all.filter((line) => line.startsWith('ERROR'))).toEqual([]);
    expect(lines.all.filter((line) => line.includes('log.tried'))).toHaveLength(2);
  });

  it('has no error for the attempts of a step either', async () => {
    const handle = await app.get(Sagas).start(UnluckySaga, {});
    expect(await handle.outcome()).toMatchObject({ status: 'completed' });
    expect(lines.all.filter((line) => line.startsWith('ERROR'))).toEqual([]);
  });

  it('keeps no error from the filters of the application', async () => {
    await bench.deliver({ type: 'log.filtered' });
    expect(noticed).toHaveLength(1);
  });
});
