import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Order } from './order.entity.js';
import { OrdersController } from './orders.controller.js';
import { OrdersService } from './orders.service.js';
import { PlaceOrderSaga } from './place-order.saga.js';
import { Price } from './price.entity.js';
import { PricesController } from './prices.controller.js';

@Module({
  imports: [TypeOrmModule.forFeature([Order, Price])],
  controllers: [OrdersController, PricesController],
  providers: [OrdersService, PlaceOrderSaga],
})
export class OrdersModule {}
