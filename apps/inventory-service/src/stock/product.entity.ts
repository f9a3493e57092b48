import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ name: 'product' })
@Check('0 <= reserved AND reserved <= stock')
export class Product {
  @PrimaryColumn({ type: 'text' })
  sku!: string;

  @Column({ type: 'text' })
  name!: string;

  /** Units there are, reserved ones included. */
  @Column({ type: 'integer' })
  stock!: number;

  /** Units that are promised to orders. */
  @Column({ type: 'integer', default: 0 })
  reserved!: number;
}
