import { ApiProperty } from '@nestjs/swagger';
import { ORDER_STATUSES, type Order, type OrderStatus } from './order.entity.js';

/** An order as clients see it. */
export class OrderView {
  @ApiProperty({ example: '10248' })
  orderId!: string;

  @ApiProperty({ example: 'VINET' })
  customerId!: string;

  @ApiProperty({ enum: ORDER_STATUSES, type: String })
  status!: OrderStatus;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'out_of_stock',
    description: 'Why it was rejected',
  })
  reason!: string | null;

  @ApiProperty({ description: 'In cents' })
  totalCents!: number;

  @ApiProperty({ type: String, nullable: true })
  paymentId!: string | null;

  @ApiProperty({ type: String, nullable: true, format: 'uuid' })
  sagaId!: string | null;

  static of(order: Order, reason: string | null = null): OrderView {
    const { id, customerId, status, totalCents, paymentId, sagaId } = order;
    return { orderId: id, customerId, status, reason, totalCents, paymentId, sagaId };
  }
}
