import type { DataSource, EntityMetadata, ObjectLiteral, QueryBuilder, QueryRunner } from 'typeorm';
import { objectsAmong } from './entity-persistence.js';
import { UnsavedEntityMessagesError } from './errors.js';
import { ambientQueryRunner } from './query-runners.js';
import { anyRecorded, hasRecorded, recordedHere, recordedOn } from './recorded-messages.js';
import type { EnlistedTransactions } from './transaction-subscriber.js';
import { dataSourceOf } from './typeorm-access.js';

interface Covered {
  readonly joins: boolean;
  readonly transactions: EnlistedTransactions;
}

type Builder = QueryBuilder<ObjectLiteral>;
type Execute = (this: Builder) => Promise<unknown>;

const covered = new WeakMap<DataSource, Covered>();
const redirected = new WeakSet<object>();

/**
 * Does for INSERT, UPDATE and DELETE by query builder what {@link entityPersistence} does for managers,
 * whose `update()` and `delete()` use query builders as well: messages recorded on an entity that is
 * given to the statement are published with it. If the statement writes the row of an entity that it
 * was not given, the statement or the commit of its transaction is refused, unless the entity is saved
 * too. Returns a function that undoes it.
 */
export function coverWriteBuilders(dataSource: DataSource, cover: Covered): () => void {
  redirect(dataSource);
  covered.set(dataSource, cover);
  return () => {
    covered.delete(dataSource);
  };
}

/** Changes the classes once, because builders are made too often to change each. */
function redirect(dataSource: DataSource): void {
  const builder = dataSource.createQueryBuilder();
  for (const one of [
    builder.insert(),
    builder.update(),
    builder.delete(),
    builder.softDelete(),
  ] as const) {
    const prototype: unknown = Object.getPrototypeOf(one);
    if (typeof prototype !== 'object' || prototype === null || redirected.has(prototype)) continue;
    redirected.add(prototype);
    const original = Reflect.get(prototype, 'execute') as Execute;
    const execute: Execute = function () {
      const cover = anyRecorded() ? covered.get(dataSourceOf(this)) : undefined;
      return cover === undefined
        ? original.call(this)
        : write(this, cover, () => original.call(this));
    };
    Object.defineProperty(prototype, 'execute', {
      configurable: true,
      writable: true,
      value: execute,
    });
  }
}

async function write(
  builder: Builder,
  { joins, transactions }: Covered,
  execute: () => Promise<unknown>,
): Promise<unknown> {
  const dataSource = dataSourceOf(builder);
  const { inHand, named } = concerned(builder);
  // Entities of others that wait anywhere in the process do not make Sagaz join this transaction.
  if (inHand.length === 0 && named.length === 0) return execute();
  const own: unknown = Reflect.get(builder, 'queryRunner');
  const queryRunner =
    (own as QueryRunner | undefined) ??
    (joins ? ambientQueryRunner(dataSource, 'write') : undefined);
  if (queryRunner?.isTransactionActive === true) {
    const transaction = transactions.of(queryRunner);
    for (const entity of named) {
      for (const message of recordedOn(entity)) transaction.await(entity, message);
    }
    const result = await execute();
    for (const entity of inHand) transaction.take(entity);
    return result;
  }
  if (named.length > 0) {
    throw new UnsavedEntityMessagesError(
      named.flatMap((entity) =>
        recordedOn(entity).map(({ type }) => ({ entity: entity.constructor.name, type })),
      ),
      'statement',
    );
  }
  return (queryRunner?.manager ?? dataSource.manager).transaction(async (inner) => {
    if (inner.queryRunner !== undefined) builder.setQueryRunner(inner.queryRunner);
    try {
      return (await builder.execute()) as unknown;
    } finally {
      Reflect.set(builder, 'queryRunner', own);
    }
  });
}

/** The entities with messages that the statement writes. */
function concerned(builder: Builder): {
  /** The entities that the statement was given. */
  readonly inHand: readonly object[];
  /**
   * The entities that the statement names by their primary key, and on which code of the same context
   * recorded messages ({@link recordedHere}).
   */
  readonly named: readonly object[];
} {
  const { valuesSet, whereEntities, mainAlias } = builder.expressionMap;
  const values = objectsAmong([valuesSet]);
  const inHand = [...values, ...objectsAmong([whereEntities])].filter(hasRecorded);
  if (mainAlias?.hasMetadata !== true) return { inHand, named: [] };
  const { metadata } = mainAlias;
  const mentioned = new Set(
    [
      ...Object.values<unknown>(builder.getParameters()),
      ...values.flatMap((value) => keysOf(metadata, value)),
    ]
      .flat(Infinity)
      .map(String),
  );
  const named = recordedHere().filter(
    (entity) =>
      !inHand.includes(entity) &&
      typeof metadata.target === 'function' &&
      entity instanceof metadata.target &&
      keysOf(metadata, entity).every((key) => mentioned.has(String(key))),
  );
  return { inHand, named };
}

function keysOf(metadata: EntityMetadata, entity: ObjectLiteral): unknown[] {
  return metadata.primaryColumns.map((column): unknown => column.getEntityValue(entity));
}
