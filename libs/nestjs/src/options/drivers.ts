import type { BrokerDriver, StoreDriver } from '@sagaz/core';
import { z } from 'zod';

type Driver = StoreDriver | BrokerDriver;

const EXAMPLES: Readonly<Record<Driver['kind'], string>> = {
  store: 'postgres() of @sagaz/postgres',
  broker: 'postgresBroker() of @sagaz/postgres',
};

/** Whether a value is a driver, of a store or of a broker. */
export function isDriver(value: unknown): value is Driver {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind === 'store' || value.kind === 'broker') &&
    'name' in value &&
    typeof value.name === 'string' &&
    'create' in value &&
    typeof value.create === 'function'
  );
}

function driver<D extends Driver>(kind: D['kind']) {
  return z.custom<D>((value) => isDriver(value) && value.kind === kind, {
    error: ({ input }) =>
      isDriver(input)
        ? `give it as the option ${input.kind}, and here a ${kind} driver, for example ${EXAMPLES[kind]}`
        : `give a ${kind} driver, for example ${EXAMPLES[kind]}`,
  });
}

export const storeDriver = driver<StoreDriver>('store');
export const brokerDriver = driver<BrokerDriver>('broker');
