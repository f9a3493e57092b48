import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import {
  SagazExceptionFilter,
  SagazModule,
  SagazTypeOrmAdapter,
  waitForDatabase,
} from '@sagaz/nestjs';
import { SagazHealthModule } from '@sagaz/nestjs/health';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { ClsModule } from 'nestjs-cls';
import { LoggerModule } from 'nestjs-pino';
import { readConfig } from './config.js';
import { logging } from './logging.js';
import { CreateOrders1700000000000 } from './migrations/1700000000000-create-orders.js';
import { Order } from './orders/order.entity.js';
import { OrdersModule } from './orders/orders.module.js';
import { Price } from './orders/price.entity.js';

const config = readConfig();

@Module({
  imports: [
    LoggerModule.forRoot(logging),
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: config.DATABASE_URL,
      entities: [Order, Price],
      migrations: [CreateOrders1700000000000],
      migrationsRun: true,
      ...waitForDatabase(),
    }),
    ClsModule.forRoot({
      global: true,
      plugins: [
        new ClsPluginTransactional({
          imports: [TypeOrmModule],
          adapter: new SagazTypeOrmAdapter(getDataSourceToken()),
        }),
      ],
    }),
    PrometheusModule.register(),
    OrdersModule,
    SagazHealthModule,
    SagazMetricsModule,
    // Last, so that it is the first to stop: work in hand ends while everything it uses still lives.
    SagazModule.forRoot({
      service: 'order-service',
      store: postgres(),
      broker: postgresBroker({ url: config.BROKER_URL }),
    }),
  ],
  // A repeated key with other content is answered by 409, an unknown saga by 404, and so on.
  providers: [{ provide: APP_FILTER, useClass: SagazExceptionFilter }],
})
export class AppModule {}
