import { SagazError } from '@sagaz/core';
import type { EntityManager } from 'typeorm';

/** The manager of a connection was used that has no DataSource. */
export class NoDataSourceError extends SagazError {
  readonly code = 'SAGAZ_NO_DATA_SOURCE';

  constructor(readonly connection: string) {
    super(
      `The connection "${connection}" has no TypeORM DataSource, so its transactions have no manager.`,
      `List '${connection}' in dataSources of SagazModule and import its TypeOrmModule, or work without the manager.`,
    );
  }
}

/** Stands for the manager where there is none, and says so when it is used. */
export function absentManager(connection: string): EntityManager {
  const nothing: object = {};
  return new Proxy(nothing, {
    get() {
      throw new NoDataSourceError(connection);
    },
  }) as EntityManager;
}
