import { Injectable } from '@nestjs/common';
import { InjectEntityManager, InjectRepository } from '@nestjs/typeorm';
import { DataSource, EntityManager, Repository, type QueryRunner } from 'typeorm';
import { Order } from './orders.js';

/** The usual custom repository since TypeORM 0.3: it makes a manager of its own, before Sagaz is there. */
@Injectable()
export class CustomOrders extends Repository<Order> {
  constructor(dataSource: DataSource) {
    super(Order, dataSource.createEntityManager());
  }
}

/** One that takes the shared manager. */
@Injectable()
export class SharedOrders extends Repository<Order> {
  constructor(dataSource: DataSource) {
    super(Order, dataSource.manager);
  }
}

function extended(dataSource: DataSource) {
  return dataSource.getRepository(Order).extend({
    put(this: Repository<Order>, id: string) {
      return this.insert({ id });
    },
  });
}

/** Every way by which an application's code reaches its database through TypeORM. */
@Injectable()
export class Doors {
  constructor(
    private readonly dataSource: DataSource,
    private readonly custom: CustomOrders,
    private readonly shared: SharedOrders,
    @InjectRepository(Order) private readonly injected: Repository<Order>,
    @InjectEntityManager() private readonly manager: EntityManager,
  ) {
    this.extended = extended(dataSource);
  }

  readonly extended: ReturnType<typeof extended>;

  readonly all: Readonly<Record<string, (id: string) => Promise<unknown>>> = {
    'an injected repository': (id) => this.injected.insert({ id }),
    'save of an injected repository': (id) => this.injected.save({ id }),
    'a custom repository': (id) => this.custom.insert({ id }),
    'save of a custom repository': (id) => this.custom.save({ id }),
    'upsert of a custom repository': (id) => this.custom.upsert({ id }, ['id']),
    'query of a custom repository': (id) =>
      this.custom.query('INSERT INTO orders (id) VALUES ($1)', [id]),
    'a transaction of the manager of a custom repository': (id) =>
      this.custom.manager.transaction((manager) => manager.insert(Order, { id })),
    'a custom repository with the shared manager': (id) => this.shared.save({ id }),
    'an extended repository': (id) => this.extended.put(id),
    'dataSource.query': (id) => this.dataSource.query('INSERT INTO orders (id) VALUES ($1)', [id]),
    'dataSource.createQueryBuilder': (id) =>
      this.dataSource.createQueryBuilder().insert().into(Order).values({ id }).execute(),
    'a query builder of a repository': (id) =>
      this.custom.createQueryBuilder().insert().values({ id }).execute(),
    'dataSource.createEntityManager': (id) =>
      this.dataSource.createEntityManager().insert(Order, { id }),
    'dataSource.manager': (id) => this.dataSource.manager.insert(Order, { id }),
    'an injected manager': (id) => this.manager.save(Order, { id }),
    'dataSource.getRepository': (id) => this.dataSource.getRepository(Order).insert({ id }),
    'dataSource.transaction': (id) =>
      this.dataSource.transaction((manager) => manager.insert(Order, { id })),
    'a query runner': (id) => this.#withRunner((runner) => runner.manager.insert(Order, { id })),
    'query of a query runner': (id) =>
      this.#withRunner((runner) => runner.query('INSERT INTO orders (id) VALUES ($1)', [id])),
    'a transaction of a query runner': (id) =>
      this.#withRunner(async (runner) => {
        await runner.startTransaction();
        try {
          await runner.manager.insert(Order, { id });
          await runner.commitTransaction();
        } catch (error) {
          if (runner.isTransactionActive) await runner.rollbackTransaction();
          throw error;
        }
      }),
    'a manager made for a query runner': (id) =>
      this.#withRunner((runner) =>
        this.dataSource.createEntityManager(runner).insert(Order, { id }),
      ),
  };

  /** Orders that all doors see, each by its own way of reading. */
  async count(): Promise<readonly number[]> {
    return Promise.all([
      this.custom.count(),
      this.extended.count(),
      this.dataSource.createQueryBuilder(Order, 'o').getCount(),
      this.dataSource
        .query<{ n: number }[]>('SELECT count(*)::int AS n FROM orders')
        .then(([row]) => row?.n ?? -1),
      this.#withRunner((runner) => runner.manager.count(Order)),
    ]);
  }

  async #withRunner<T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      await runner.connect();
      return await work(runner);
    } finally {
      await runner.release();
    }
  }
}
