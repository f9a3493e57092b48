import type { DataSource, EntityTarget, ObjectLiteral, QueryRunner } from 'typeorm';

/**
 * Makes the shared manager of a DataSource, and so every repository that Nest injected, work on the
 * ambient transaction where there is one. Returns what undoes it.
 *
 * Without it a repository's writes inside `@Transactional()` go through a connection of their own:
 * they stay when the transaction is rolled back, and wait for the pool while the transaction holds it.
 */
export function joinAmbientTransaction(
  dataSource: DataSource,
  current: () => QueryRunner | undefined,
): () => void {
  const { manager } = dataSource;
  let hidden = false;

  Object.defineProperty(manager, 'queryRunner', {
    configurable: true,
    get: () => (hidden ? undefined : current()),
  });

  // A repository keeps the query runner it was made with. One that is first asked for inside a
  // transaction would be cached with a runner that is released at its end.
  for (const name of ['getRepository', 'getTreeRepository'] as const) {
    const make = manager[name].bind(manager);
    Object.defineProperty(manager, name, {
      configurable: true,
      value: (target: EntityTarget<ObjectLiteral>) => {
        hidden = true;
        try {
          return make(target);
        } finally {
          hidden = false;
        }
      },
    });
  }

  return () => {
    for (const name of ['queryRunner', 'getRepository', 'getTreeRepository']) {
      Reflect.deleteProperty(manager, name);
    }
  };
}
