import type { INestApplication } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { SagazServer } from './sagaz-server.js';

/**
 * Lets the application handle messages: connects the transport of Sagaz with the application's own
 * global guards, pipes, interceptors and filters, and turns on Nest's shutdown hooks, so that work
 * under way ends in good order when the process is told to stop.
 *
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * connectSagaz(app);
 * await app.startAllMicroservices();
 * await app.listen(3000);
 * ```
 *
 * Call it after `app.useGlobalGuards()` and similar calls: Nest builds the pipeline of the handlers
 * here, and guards that are added later are not in it.
 *
 * A guard written for HTTP (`APP_GUARD`) sees messages too: let it ask `context.getType()`.
 */
export function connectSagaz<App extends INestApplication>(app: App): App {
  const strategy = app.get(SagazServer);
  strategy.markConnected(() =>
    // `serverInstance` is not in Nest's types. If it has another name, nothing is found and nothing is
    // refused.
    app.getMicroservices().map((one): unknown => Reflect.get(one, 'serverInstance')),
  );
  app.enableShutdownHooks();
  app.connectMicroservice<MicroserviceOptions>({ strategy }, { inheritAppConfig: true });
  return app;
}
