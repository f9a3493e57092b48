import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateOrders1700000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE customer_order (
        id text PRIMARY KEY,
        customer_id text NOT NULL,
        items jsonb NOT NULL,
        total_cents integer NOT NULL CHECK (total_cents > 0),
        status text NOT NULL CHECK (status IN ('pending', 'processing', 'confirmed', 'rejected')),
        saga_id uuid,
        payment_id text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now()
      )`);
    await queryRunner.query(`
      CREATE TABLE price (
        sku text PRIMARY KEY,
        unit_price_cents integer NOT NULL CHECK (unit_price_cents >= 0)
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE price');
    await queryRunner.query('DROP TABLE customer_order');
  }
}
