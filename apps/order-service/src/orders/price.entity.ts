import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What a product costs: our price, and never one that a client sends. */
@Entity({ name: 'price' })
export class Price {
  @PrimaryColumn({ type: 'text' })
  sku!: string;

  @Column({ name: 'unit_price_cents', type: 'integer' })
  unitPriceCents!: number;
}
