import { Column, Entity, PrimaryColumn } from 'typeorm';

export interface ReservedLine {
  readonly sku: string;
  readonly quantity: number;
}

/** The stock that an order holds. */
@Entity({ name: 'reservation' })
export class Reservation {
  @PrimaryColumn({ name: 'order_id', type: 'text' })
  orderId!: string;

  @Column({ type: 'jsonb' })
  lines!: ReservedLine[];

  /** `held` until the order is confirmed (`sold`) or undone (`released`). */
  @Column({ type: 'text' })
  status!: 'held' | 'sold' | 'released';
}
