import type { DataSource, EntityManager, ObjectLiteral, QueryBuilder, QueryRunner } from 'typeorm';

/** TypeORM 1.x says `dataSource` and deprecates `connection`, the only name that 0.3 has. */
export function dataSourceOf(
  holder: EntityManager | QueryRunner | QueryBuilder<ObjectLiteral>,
): DataSource {
  const dataSource: unknown = Reflect.get(holder, 'dataSource');
  return (dataSource ?? Reflect.get(holder, 'connection')) as DataSource;
}

/** 0: no transaction; 1: the outermost; more: savepoints. Not part of TypeORM's declared interface. */
export function depthOf(queryRunner: QueryRunner): number {
  const depth: unknown = Reflect.get(queryRunner, 'transactionDepth');
  return typeof depth === 'number' ? depth : 0;
}

/** The driver's own pool, as it is; undefined where the driver has none that looks like pg's. */
export function poolOf(
  dataSource: DataSource,
): { readonly options: object; readonly max: number } | undefined {
  const pool: unknown = Reflect.get(dataSource.driver, 'master');
  if (typeof pool !== 'object' || pool === null || !('options' in pool)) return undefined;
  const { options } = pool;
  if (typeof options !== 'object' || options === null) return undefined;
  const max: unknown = Reflect.get(options, 'max');
  return { options, max: typeof max === 'number' ? max : 10 };
}
