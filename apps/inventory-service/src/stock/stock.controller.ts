import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import {
  OrderConfirmed,
  ReleaseStock,
  ReserveStock,
  type OrderConfirmedPayload,
  type ReleaseStockPayload,
  type ReserveStockPayload,
  type StockReserved,
} from '../contracts/index.js';
import { IdempotentHandler } from '@sagaz/nestjs';
import { StockService } from './stock.service.js';

/** The commands that inventory handles for other services. Each handler runs in a transaction of its own. */
@Controller()
export class StockController {
  constructor(private readonly stock: StockService) {}

  @IdempotentHandler(ReserveStock)
  async reserve(@Payload() { orderId, lines }: ReserveStockPayload): Promise<StockReserved> {
    return { orderId, reservedUnits: await this.stock.reserve(orderId, lines) };
  }

  @IdempotentHandler(ReleaseStock)
  async release(@Payload() { orderId }: ReleaseStockPayload): Promise<void> {
    await this.stock.release(orderId);
  }

  @IdempotentHandler(OrderConfirmed)
  async onConfirmed(@Payload() { orderId }: OrderConfirmedPayload): Promise<void> {
    await this.stock.sell(orderId);
  }
}
