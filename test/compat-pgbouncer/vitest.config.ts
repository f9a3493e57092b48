import { mergeConfig } from 'vitest/config';
import base from '../../vitest.config.js';

// The same specs, with nothing but a pooler between them and the server: `npm run test:pgbouncer`.
const config = mergeConfig(base, { root: new URL('../..', import.meta.url).pathname });
config.test = {
  ...config.test,
  projects: undefined,
  include: [
    'libs/postgres/src/**/*.contract.int.spec.ts',
    'libs/postgres/src/inbox/pg-inbox-store.int.spec.ts',
    'libs/postgres/src/outbox/relay.int.spec.ts',
    'libs/postgres/src/migrations/migrator.int.spec.ts',
    'test/nestjs/sagas.int.spec.ts',
  ],
  globalSetup: ['test/compat-pgbouncer/global-setup.ts'],
};

export default config;
