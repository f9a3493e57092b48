import { SagazError } from '@sagaz/core';
import type { EntityManager } from 'typeorm';

/** The manager of a connection without a DataSource was used. */
export class NoDataSourceError extends SagazError {
  readonly code = 'SAGAZ_NO_DATA_SOURCE';

  constructor(readonly connection: string) {
    super(
      `The connection "${connection}" has no TypeORM DataSource, so its transactions have no manager.`,
      `List '${connection}' in dataSources of SagazModule and import its TypeOrmModule, or work without the manager.`,
    );
  }
}

/** Makes a substitute for the manager of a connection that has none. Every use of it throws. */
export function absentManager(connection: string): EntityManager {
  const nothing: object = {};
  return new Proxy(nothing, {
    get() {
      throw new NoDataSourceError(connection);
    },
  }) as EntityManager;
}
