import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The price of a product: the shop's, never one that a client sends. */
@Entity({ name: 'price' })
export class Price {
  @PrimaryColumn({ type: 'text' })
  sku!: string;

  @Column({ name: 'unit_price_cents', type: 'integer' })
  unitPriceCents!: number;
}
