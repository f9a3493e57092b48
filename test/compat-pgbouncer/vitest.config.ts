import { configOf } from '../../vitest.config.js';

// The same specs, with nothing but a pooler between them and the server: `npm run test:pgbouncer`.
export default configOf({
  packages: [
    // Not that of hostile sessions: a pooler hands out sessions that are older than their settings.
    'libs/postgres/src/**/!(hostile-session).contract.int.spec.ts',
    'libs/postgres/src/inbox/pg-inbox-store.int.spec.ts',
    'libs/postgres/src/outbox/relay.int.spec.ts',
    'libs/postgres/src/migrations/migrator.int.spec.ts',
  ],
  systems: ['test/nestjs/sagas.int.spec.ts'],
  globalSetup: 'test/compat-pgbouncer/global-setup.ts',
});
