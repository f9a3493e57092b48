import type { UnservedLook, UnservedSagas } from '@sagaz/core';
import type { SagazPool, SchemaName } from '../connection/index.js';
import { checkPrivileges, UNSERVED_NEEDS } from '../privileges/index.js';
import { findUnserved } from './unserved-sagas.js';

/**
 * Finds unserved sagas for any process of the application, also one whose role may not read sagas. That
 * is found out from the catalog, because a statement without its grant would be an error in the log of
 * the server for each process and look.
 */
export class UnservedSagaReads {
  readonly #pool: SagazPool;
  readonly #schema: SchemaName;
  #checked = false;

  constructor(pool: SagazPool, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema;
  }

  /** @throws MissingPrivilegesError with the statements that grant the missing privileges */
  async find(look: UnservedLook): Promise<readonly UnservedSagas[]> {
    if (!this.#checked) await checkPrivileges(this.#pool, this.#schema, UNSERVED_NEEDS);
    this.#checked = true;
    try {
      return await findUnserved(this.#pool.for('count'), this.#schema, look);
    } catch (error) {
      // The grant may have been taken away since.
      this.#checked = false;
      throw error;
    }
  }
}
