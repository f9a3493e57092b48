import type { QueryRunner } from 'typeorm';
import { TransactionEndedError } from './errors.js';
import { depthOf } from './typeorm-access.js';

/**
 * A nested transaction. TypeORM counts how deep a query runner is and ends whatever is deepest; of
 * several that run side by side, or one that nobody awaited, that is another one's, or the transaction
 * itself. This one ends itself or nothing.
 */
export class Savepoint {
  readonly #queryRunner: QueryRunner;
  /** Of what surrounds it. */
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

  /** @throws TransactionEndedError when what surrounds it was rolled back meanwhile */
  async release(): Promise<void> {
    if (depthOf(this.#queryRunner) <= this.#depth) {
      throw new TransactionEndedError('commit a nested transaction');
    }
    await this.#queryRunner.commitTransaction();
  }

  /** With everything in it that is still open. */
  async rollBack(): Promise<void> {
    for (let depth = depthOf(this.#queryRunner); depth > this.#depth; depth -= 1) {
      await this.#queryRunner.rollbackTransaction();
    }
  }
}
