import { getTransactionHostToken } from '@nestjs-cls/transactional';
import type { FactoryProvider } from '@nestjs/common';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { Clock, Logger, StoreDriver } from '@sagaz/core';
import { DataSource } from 'typeorm';
import {
  Connections,
  DEFAULT_CONNECTION,
  StoreConnection,
  TypeOrmConnection,
  poolOf,
  type Connection,
  type TypeOrmTransactionHost,
} from '../enlist/index.js';
import { waitForServer, WorkObservers } from '../lifecycle/index.js';
import {
  activeRoles,
  InvalidOptionsError,
  migratesAtStart,
  readDataSources,
  type EffectiveOptions,
  type SagazModuleExtras,
} from '../options/index.js';
import { SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';

interface Named {
  readonly name: string;
  readonly ambient: 'join' | 'off';
  readonly dataSource: DataSource | undefined;
  readonly host: TypeOrmTransactionHost | undefined;
}

function problem(option: string, given: string, expected: string): InvalidOptionsError {
  return new InvalidOptionsError([{ option, variable: undefined, given, expected }]);
}

/** Returns the driver of a connection. @throws InvalidOptionsError when the options name none for it */
function driverOf(name: string, { store, stores }: EffectiveOptions): StoreDriver {
  const driver = (Object.hasOwn(stores, name) ? stores[name] : undefined) ?? store;
  if (driver === undefined) {
    throw problem(
      `stores.${name}`,
      'missing',
      `give the store of the DataSource '${name}', or one store for all: store: postgres()`,
    );
  }
  return driver;
}

/** Makes and starts the stores, and connects the transactions of the DataSources with them. */
export function connectionsProvider(
  given: SagazModuleExtras['dataSources'],
): FactoryProvider<Connections> {
  const wanted = readDataSources(given ?? [DEFAULT_CONNECTION]);
  // The tokens are optional, so that a missing one leads to a helpful error below. They are injected
  // and not looked up later, because repositories are used from the moment the first provider is made.
  const injected = wanted.flatMap(({ name }) => {
    const connectionName = name === DEFAULT_CONNECTION ? undefined : name;
    return [
      { token: getDataSourceToken(connectionName), optional: true },
      { token: getTransactionHostToken(connectionName), optional: true },
    ];
  });

  return {
    provide: Connections,
    inject: [SAGAZ_OPTIONS, SAGAZ_LOGGER, SAGAZ_CLOCK, WorkObservers, ...injected],
    useFactory: async (
      options: EffectiveOptions,
      logger: Logger,
      clock: Clock,
      observers: WorkObservers,
      ...found: unknown[]
    ) => {
      const named = wanted.map(({ name, ambient }, index): Named => {
        const dataSource = found[index * 2];
        if (dataSource === undefined && given !== undefined) {
          throw problem(
            'dataSources',
            `'${name}'`,
            `import TypeOrmModule.forRoot({ ${name === DEFAULT_CONNECTION ? '' : `name: '${name}', `}… }), or leave it out`,
          );
        }
        return {
          name,
          ambient,
          dataSource: dataSource instanceof DataSource ? dataSource : undefined,
          host: found[index * 2 + 1] as TypeOrmTransactionHost | undefined,
        };
      });
      const names = new Set([
        ...named.flatMap(({ name, dataSource }) => (dataSource === undefined ? [] : [name])),
        ...Object.keys(options.stores),
      ]);
      if (names.size === 0) names.add(DEFAULT_CONNECTION);

      const roles = activeRoles(options.roles);
      const migrate = migratesAtStart(options.migrate, process.env);
      const connections: Connection[] = [];
      try {
        for (const name of names) {
          const { dataSource, ambient, host } = named.find((one) => one.name === name) ?? {};
          const pool = dataSource === undefined ? undefined : poolOf(dataSource);
          const store = await driverOf(name, options).create({
            service: options.service,
            logger,
            clock,
            ...(pool === undefined ? {} : { connection: pool.options }),
          });
          const parts = { name, store, source: options.service, logger, observer: observers };
          connections.push(
            dataSource === undefined
              ? new StoreConnection(parts)
              : new TypeOrmConnection({
                  ...parts,
                  dataSource,
                  ambient: ambient ?? 'join',
                  host: () => host,
                }),
          );
          await waitForServer(`the database of "${name}"`, () => store.start({ migrate, roles }), {
            clock,
            logger,
            withinMs: options.startTimeout,
          });
        }
      } catch (error) {
        // The application does not start, so its open connections must not keep the process alive.
        for (const connection of connections) {
          connection.dispose();
          await connection.store.close().catch(() => undefined);
        }
        throw error;
      }
      return new Connections(connections);
    },
  };
}
