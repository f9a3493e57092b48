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

/** How many connections pg's pool opens for what it was given: a text counts as the number it is. */
function poolSizeOf(given: unknown): number {
  if (given === undefined || given === null) return 10;
  if (typeof given === 'string') return /^\d+$/.test(given.trim()) ? Number(given) : Number.NaN;
  return typeof given === 'number' ? given : Number.NaN;
}

/** The driver's own pool, as it is; its size is NaN where it is no number. Undefined where the driver has none that looks like pg's. */
export function poolOf(
  dataSource: DataSource,
): { readonly options: object; readonly max: number } | undefined {
  const pool: unknown = Reflect.get(dataSource.driver, 'master');
  if (typeof pool !== 'object' || pool === null || !('options' in pool)) return undefined;
  const { options } = pool;
  if (typeof options !== 'object' || options === null) return undefined;
  return { options, max: poolSizeOf(Reflect.get(options, 'max')) };
}
