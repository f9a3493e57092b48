import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The payment of an order, as this service knows it. */
@Entity({ name: 'payment' })
export class Payment {
  @PrimaryColumn({ name: 'order_id', type: 'text' })
  orderId!: string;

  /** The provider's name for it. */
  @Column({ name: 'payment_id', type: 'text' })
  paymentId!: string;

  @Column({ name: 'amount_cents', type: 'integer' })
  amountCents!: number;

  @Column({ type: 'text' })
  status!: 'authorised' | 'captured' | 'voided' | 'refunded';
}
