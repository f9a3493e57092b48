import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What this service knows of an order's payment. */
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
