import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateStock1700000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE product (
        sku text PRIMARY KEY,
        name text NOT NULL,
        stock integer NOT NULL CHECK (stock >= 0),
        reserved integer NOT NULL DEFAULT 0,
        CHECK (0 <= reserved AND reserved <= stock)
      )`);
    await queryRunner.query(`
      CREATE TABLE reservation (
        order_id text PRIMARY KEY,
        lines jsonb NOT NULL,
        status text NOT NULL CHECK (status IN ('held', 'sold', 'released'))
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE reservation');
    await queryRunner.query('DROP TABLE product');
  }
}
