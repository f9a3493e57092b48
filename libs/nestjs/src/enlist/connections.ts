import { valueText } from '@sagaz/core';
import type { EntityManager } from 'typeorm';
import type { Connection } from './connection.js';
import type { EnlistedTransaction } from './enlisted-transaction.js';
import { AmbiguousTransactionError, NoTransactionError, UnknownDataSourceError } from './errors.js';
import { TypeOrmConnection } from './typeorm-connection.js';
import { dataSourceOf } from './typeorm-access.js';

export const DEFAULT_CONNECTION = 'default';

/** The transaction in which a message is published or a saga started. */
export interface TransactionTarget {
  /** A manager with a transaction open. */
  readonly manager?: EntityManager;
  /** The name of the connection whose ambient transaction is meant. */
  readonly connection?: string;
}

/** All connections of one application. Finds the transaction that a call means. */
export class Connections {
  readonly #byName: ReadonlyMap<string, Connection>;

  constructor(connections: readonly Connection[]) {
    this.#byName = new Map(connections.map((connection) => [connection.name, connection]));
    for (const connection of connections) {
      if (connection instanceof TypeOrmConnection) enlisted.add(connection);
    }
  }

  get all(): readonly Connection[] {
    return [...this.#byName.values()];
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  /** @throws UnknownDataSourceError */
  get(name: string = DEFAULT_CONNECTION): Connection {
    const connection = this.#byName.get(name);
    if (connection === undefined) throw new UnknownDataSourceError(valueText(name), this.names);
    return connection;
  }

  /** The only connection, or the one called `default`. If there is neither, a call has to name one. */
  get main(): Connection {
    const [only, ...others] = this.all;
    return only !== undefined && others.length === 0 ? only : this.get();
  }

  /**
   * Finds the transaction that the caller means, and the connection it belongs to; undefined: none is
   * open.
   */
  find(
    { manager, connection: name }: TransactionTarget,
    action: string,
  ): { readonly connection: Connection; readonly enlisted: EnlistedTransaction } | undefined {
    if (manager !== undefined) {
      const connection = this.#ofManager(manager);
      return { connection, enlisted: connection.ofManager(manager, action) };
    }
    const candidates = name === undefined ? this.all : [this.get(name)];
    const open = candidates.flatMap((connection) => {
      const current = connection.current(action);
      return current === undefined ? [] : [{ connection, enlisted: current }];
    });
    if (open.length > 1) {
      throw new AmbiguousTransactionError(
        action,
        open.map(({ connection }) => connection.name),
      );
    }
    return open[0];
  }

  /** As {@link find}. @throws NoTransactionError when none is open */
  require(
    target: TransactionTarget,
    action: string,
  ): { readonly connection: Connection; readonly enlisted: EnlistedTransaction } {
    const found = this.find(target, action);
    if (found !== undefined) return found;
    throw new NoTransactionError(
      action,
      target.connection,
      target.connection === undefined
        ? 'no transaction is open here'
        : `no transaction of the connection "${target.connection}" is open here`,
    );
  }

  dispose(): void {
    for (const connection of this.all) {
      if (connection instanceof TypeOrmConnection) enlisted.delete(connection);
      connection.dispose();
    }
  }

  #ofManager(manager: EntityManager): TypeOrmConnection {
    const dataSource = dataSourceOf(manager);
    for (const connection of this.all) {
      if (connection instanceof TypeOrmConnection && connection.dataSource === dataSource) {
        return connection;
      }
    }
    throw new UnknownDataSourceError('The manager', this.names);
  }
}

/**
 * The connections of all applications in the process, because an entity that records a message knows no
 * application.
 */
const enlisted = new Set<TypeOrmConnection>();

/**
 * Finds the ambient transaction in which this entity could be persisted, if there is exactly one.
 *
 * @throws TransactionEndedError where it has ended, and the code was not awaited
 */
export function ambientTransactionFor(
  entity: object,
  action: string,
): EnlistedTransaction | undefined {
  const open = [...enlisted].flatMap((connection) => {
    if (!connection.dataSource.hasMetadata(entity.constructor)) return [];
    const current = connection.current(action);
    return current === undefined ? [] : [current];
  });
  return open.length === 1 ? open[0] : undefined;
}
