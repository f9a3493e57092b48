// A service whose requests wait for a saga that nobody ends, and one whose request is never answered: a
// process of its own, to be told to stop. It prints its port, and a line for each request that waits.
import 'reflect-metadata';
import { Controller, Get, Inject, Injectable, Module, Post } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import {
  Saga,
  SagaOf,
  SagaStep,
  Sagas,
  SagazExceptionFilter,
  SagazModule,
  command,
  connectSagaz,
  defineCommand,
} from '@sagaz/nestjs';
import { postgres, postgresBroker } from '@sagaz/postgres';

const url = process.env['DATABASE_URL'] ?? '';
const Ask = defineCommand<object>()('nobody.ask');

@Saga({ name: 'endless' })
@Injectable()
class EndlessSaga extends SagaOf<object> {
  @SagaStep({ replyTimeout: '1d' })
  ask() {
    return command(Ask, {});
  }
}

@Controller()
class Requests {
  constructor(@Inject(Sagas) private readonly sagas: Sagas) {}

  @Post('wait')
  async wait(): Promise<unknown> {
    const handle = await this.sagas.start(EndlessSaga, {});
    console.log('waits');
    return handle.outcome({ timeout: '1h' });
  }

  @Get('hang')
  hang(): Promise<never> {
    console.log('hangs');
    return new Promise(() => undefined);
  }
}

@Module({
  imports: [
    SagazModule.forRoot({
      service: 'requests',
      store: postgres({ url }),
      broker: postgresBroker({ url, migrate: true }),
      roles: { engine: process.env['ENGINE'] === 'true', relay: false, consume: false },
      shutdownTimeout: '3s',
    }),
  ],
  controllers: [Requests],
  providers: [EndlessSaga, { provide: APP_FILTER, useClass: SagazExceptionFilter }],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error', 'fatal'] });
connectSagaz(app);
await app.startAllMicroservices();
await app.listen(0, '127.0.0.1');
console.log(`listens at ${await app.getUrl()}`);
