import type { DataSource, EntityManager, EntityMetadata, QueryRunner } from 'typeorm';
import { anyRecorded, hasRecorded } from './recorded-messages.js';
import type { EnlistedTransactions } from './transaction-subscriber.js';

const METHODS = ['save', 'remove', 'softRemove', 'recover'] as const;

/** The objects among the arguments of `save(entity)`, `save([…])`, `save(Target, entity, options)`. */
function objectsAmong(values: readonly unknown[]): object[] {
  return values.flatMap((value) =>
    Array.isArray(value)
      ? objectsAmong(value)
      : typeof value === 'object' && value !== null
        ? [value]
        : [],
  );
}

/** An entity and what is saved with it, as far as it has recorded messages. */
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
 * Sees to it that messages recorded on an entity leave with its `save`, also when no column has
 * changed: TypeORM then writes nothing, opens no transaction and calls no subscriber, and the
 * messages would be lost without a word. Returns what undoes it.
 */
export function coverUnchangedSaves(
  dataSource: DataSource,
  transactions: EnlistedTransactions,
): () => void {
  const cover = (manager: EntityManager): void => {
    for (const name of METHODS) {
      const original = Reflect.get(manager, name) as (...args: unknown[]) => Promise<unknown>;
      Object.defineProperty(manager, name, {
        configurable: true,
        value: async (...given: unknown[]): Promise<unknown> => {
          const persist = (): Promise<unknown> => original.apply(manager, given);
          if (!anyRecorded()) return persist();
          const entities = recordedWithin(dataSource, objectsAmong(given));
          if (entities.length === 0) return persist();
          const queryRunner = manager.queryRunner;
          if (queryRunner?.isTransactionActive !== true) {
            // One transaction around both the entity's write, if any, and its messages.
            return manager.transaction(async (inner) => {
              const again = Reflect.get(inner, name) as typeof original;
              return again.apply(inner, given);
            });
          }
          const result = await persist();
          for (const entity of entities) transactions.of(queryRunner).take(entity);
          return result;
        },
      });
    }
  };

  cover(dataSource.manager);
  const create = dataSource.createEntityManager.bind(dataSource);
  Object.defineProperty(dataSource, 'createEntityManager', {
    configurable: true,
    value: (queryRunner?: QueryRunner) => {
      const manager = create(queryRunner);
      cover(manager);
      return manager;
    },
  });

  return () => {
    Reflect.deleteProperty(dataSource, 'createEntityManager');
    for (const name of METHODS) Reflect.deleteProperty(dataSource.manager, name);
  };
}
