import { Module } from '@nestjs/common';
import { SagazModule } from '@sagaz/nestjs';
import { SagazHealthModule } from '@sagaz/nestjs/health';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { LoggerModule } from 'nestjs-pino';
import { readConfig } from './config.js';
import { logging } from './logging.js';

const config = readConfig();

/** Publishes what services left in their outboxes. Run as many as you like: they share the slots. */
@Module({
  imports: [
    LoggerModule.forRoot(logging),
    PrometheusModule.register(),
    SagazHealthModule,
    SagazMetricsModule,
    SagazModule.forRoot({
      service: 'outbox-worker',
      stores: Object.fromEntries(
        config.OUTBOX_DATABASES.map(({ name, url }) => [name, postgres({ url })]),
      ),
      broker: postgresBroker({ url: config.BROKER_URL }),
      roles: { engine: false, consume: false },
    }),
  ],
})
export class AppModule {}
