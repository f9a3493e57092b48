import type { QueryRunner } from 'typeorm';
import { TransactionEndedError } from './errors.js';
import { depthOf } from './typeorm-access.js';

/**
 * A nested transaction. TypeORM counts the depth of a query runner and ends the deepest level. If
 * several nested transactions run side by side, or one was not awaited, that level belongs to another
 * one, or is the transaction itself. This class ends its own level or nothing.
 */
export class Savepoint {
  readonly #queryRunner: QueryRunner;
  /** The depth of the surrounding level. */
  readonly #depth: number;

  private constructor(queryRunner: QueryRunner, depth: number) {
    this.#queryRunner = queryRunner;
    this.#depth = depth;
  }

  static async open(queryRunner: QueryRunner): Promise<Savepoint> {
    const depth = depthOf(queryRunner);
    await queryRunner.startTransaction();
    return new Savepoint(queryRunner, depth);
  }

  /** @throws TransactionEndedError when the surrounding level was rolled back meanwhile */
  async release(): Promise<void> {
    if (depthOf(this.#queryRunner) <= this.#depth) {
      throw new TransactionEndedError('commit a nested transaction');
    }
    await this.#queryRunner.commitTransaction();
  }

  /** Rolls the savepoint back, with all savepoints in it that are still open. */
  async rollBack(): Promise<void> {
    for (let depth = depthOf(this.#queryRunner); depth > this.#depth; depth -= 1) {
      await this.#queryRunner.rollbackTransaction();
    }
  }
}
