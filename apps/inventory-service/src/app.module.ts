import { ClsPluginTransactional } from '@nestjs-cls/transactional';
import { Module } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { SagazModule, SagazTypeOrmAdapter, waitForDatabase } from '@sagaz/nestjs';
import { SagazHealthModule } from '@sagaz/nestjs/health';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { ClsModule } from 'nestjs-cls';
import { LoggerModule } from 'nestjs-pino';
import { readConfig } from './config.js';
import { logging } from './logging.js';
import { CreateStock1700000000000 } from './migrations/1700000000000-create-stock.js';
import { Product } from './stock/product.entity.js';
import { Reservation } from './stock/reservation.entity.js';
import { StockModule } from './stock/stock.module.js';

const config = readConfig();

@Module({
  imports: [
    LoggerModule.forRoot(logging),
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: config.DATABASE_URL,
      entities: [Product, Reservation],
      migrations: [CreateStock1700000000000],
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
    StockModule,
    SagazHealthModule,
    SagazMetricsModule,
    // Last, so that it is the first to stop: work in hand ends while everything it uses still lives.
    SagazModule.forRoot({
      service: 'inventory-service',
      store: postgres(),
      broker: postgresBroker({ url: config.BROKER_URL }),
    }),
  ],
})
export class AppModule {}
