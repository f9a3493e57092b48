import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreatePayments1700000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE payment (
        order_id text PRIMARY KEY,
        payment_id text NOT NULL,
        amount_cents integer NOT NULL CHECK (amount_cents > 0),
        status text NOT NULL CHECK (status IN ('authorised', 'captured', 'voided', 'refunded'))
      )`);
    // The simulated provider's own books. A real one keeps them elsewhere.
    await queryRunner.query('CREATE SCHEMA simulated_provider');
    await queryRunner.query(`
      CREATE TABLE simulated_provider.payment (
        payment_id text PRIMARY KEY,
        order_id text NOT NULL,
        amount_cents integer NOT NULL,
        status text NOT NULL CHECK (status IN ('declined', 'authorised', 'captured', 'voided', 'refunded')),
        captures integer NOT NULL DEFAULT 0
      )`);
    await queryRunner.query(`
      CREATE TABLE simulated_provider.operation (
        idempotency_key text PRIMARY KEY,
        payment_id text REFERENCES simulated_provider.payment,
        undone boolean NOT NULL DEFAULT false
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP SCHEMA simulated_provider CASCADE');
    await queryRunner.query('DROP TABLE payment');
  }
}
