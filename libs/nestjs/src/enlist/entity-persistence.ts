import type { DataSource, EntityManager, EntityMetadata } from 'typeorm';
import type { Interception } from './managers.js';
import { ambientQueryRunner } from './query-runners.js';
import { anyRecorded, hasRecorded } from './recorded-messages.js';
import type { EnlistedTransactions } from './transaction-subscriber.js';

/** The methods that also write the entities related to an entity. */
const CASCADING = ['save', 'remove', 'softRemove', 'recover'] as const;
/** The methods that write the objects they are given, or the rows that these objects name. */
const DIRECT = [
  'insert',
  'upsert',
  'update',
  'delete',
  'softDelete',
  'restore',
  'increment',
  'decrement',
] as const;

/** The objects among the arguments of `save(entity)`, `save([…])`, `save(Target, entity, options)`. */
export function objectsAmong(values: readonly unknown[]): object[] {
  return values.flatMap((value) =>
    Array.isArray(value)
      ? objectsAmong(value)
      : typeof value === 'object' && value !== null
        ? [value]
        : [],
  );
}

/** The entities among `roots` and those saved with them that have recorded messages. */
function recordedWithin(dataSource: DataSource, roots: readonly object[]): object[] {
  const seen = new Set<object>();
  const visit = (entity: object, known?: EntityMetadata): void => {
    if (seen.has(entity)) return;
    seen.add(entity);
    const metadata =
      known ??
      (dataSource.hasMetadata(entity.constructor)
        ? dataSource.getMetadata(entity.constructor)
        : undefined);
    for (const relation of metadata?.relations ?? []) {
      if (!relation.isCascadeInsert && !relation.isCascadeUpdate) continue;
      const related: unknown = relation.getEntityValue(entity);
      for (const other of objectsAmong([related])) visit(other, relation.inverseEntityMetadata);
    }
  };
  for (const root of roots) visit(root);
  return [...seen].filter(hasRecorded);
}

/**
 * Ensures that messages recorded on an entity are published when it is written, whichever method of a
 * manager or repository writes it. TypeORM's own events are not enough: it calls no subscriber if no
 * column has changed, if listeners are off, or for an entity given to `update()` or `delete()`; and
 * `insert()` opens no transaction in which messages could be written.
 */
export function entityPersistence(
  dataSource: DataSource,
  joins: boolean,
  transactions: EnlistedTransactions,
): Readonly<Record<string, Interception>> {
  const writing =
    (name: string, written: (given: readonly unknown[]) => object[]): Interception =>
    async (manager, original, given) => {
      const entities = anyRecorded() ? written(given) : [];
      if (entities.length === 0) return original(...given);
      const queryRunner =
        manager.queryRunner ?? (joins ? ambientQueryRunner(dataSource, name) : undefined);
      if (queryRunner?.isTransactionActive !== true) {
        // One transaction around both the entity's write, if any, and its messages.
        return manager.transaction((inner) => methodOf(inner, name)(...given));
      }
      const result = await original(...given);
      for (const entity of entities) transactions.of(queryRunner).take(entity);
      return result;
    };

  return Object.fromEntries([
    ...CASCADING.map((name) => [
      name,
      writing(name, (given) => recordedWithin(dataSource, objectsAmong(given))),
    ]),
    ...DIRECT.map((name) => [
      name,
      writing(name, (given) => objectsAmong(given).filter(hasRecorded)),
    ]),
  ]) as Record<string, Interception>;
}

function methodOf(
  manager: EntityManager,
  name: string,
): (...given: readonly unknown[]) => Promise<unknown> {
  const method = Reflect.get(manager, name) as (...given: readonly unknown[]) => Promise<unknown>;
  return method.bind(manager);
}
