import { describe, it } from 'vitest';
import {
  engineRegistryContract,
  EngineBench,
  runContract,
  sagaStoreContract,
} from '../testing/index.js';

const fixture = () => {
  const bench = new EngineBench([]);
  return Promise.resolve({
    sagas: bench.sagas,
    other: bench.sagas,
    engines: bench.engines,
    otherEngines: bench.engines,
    transactions: bench.transactions,
    messagesOf: (key: string) =>
      Promise.resolve(bench.sent.filter((one) => one.key === key).length),
    pass: (ms: number) => bench.clock.advance(ms),
  });
};

runContract('the saga store in memory', sagaStoreContract, fixture, { it, describe });
runContract('the engine registry in memory', engineRegistryContract, fixture, { it, describe });
