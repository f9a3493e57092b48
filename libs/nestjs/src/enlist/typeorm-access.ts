import type { DataSource, EntityManager, ObjectLiteral, QueryBuilder, QueryRunner } from 'typeorm';

/**
 * Returns the DataSource of a manager or query runner. TypeORM 1.x names it `dataSource` and deprecates
 * `connection`, the only name that 0.3 has.
 */
export function dataSourceOf(
  holder: EntityManager | QueryRunner | QueryBuilder<ObjectLiteral>,
): DataSource {
  const dataSource: unknown = Reflect.get(holder, 'dataSource');
  return (dataSource ?? Reflect.get(holder, 'connection')) as DataSource;
}

/**
 * The depth of a query runner. 0: no transaction; 1: the outermost; more: savepoints. It is not part of
 * TypeORM's declared interface.
 */
export function depthOf(queryRunner: QueryRunner): number {
  const depth: unknown = Reflect.get(queryRunner, 'transactionDepth');
  return typeof depth === 'number' ? depth : 0;
}

/** How many connections pg's pool opens for the given option; a text counts as its number. */
function poolSizeOf(given: unknown): number {
  if (given === undefined || given === null) return 10;
  if (typeof given === 'string') return /^\d+$/.test(given.trim()) ? Number(given) : Number.NaN;
  return typeof given === 'number' ? given : Number.NaN;
}

/**
 * Returns the driver's own pool; its size is NaN if it is no number. Undefined if the driver has none
 * like that of pg.
 */
export function poolOf(
  dataSource: DataSource,
): { readonly options: object; readonly max: number } | undefined {
  const pool: unknown = Reflect.get(dataSource.driver, 'master');
  if (typeof pool !== 'object' || pool === null || !('options' in pool)) return undefined;
  const { options } = pool;
  if (typeof options !== 'object' || options === null) return undefined;
  return { options, max: poolSizeOf(Reflect.get(options, 'max')) };
}
