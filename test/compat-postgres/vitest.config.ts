import { configOf } from '../../vitest.config.js';

// Its own run, because it installs three more servers: `npm run test:postgres`, and after `--` parts
// of paths to run only some of it.
export default configOf({
  packages: ['libs/postgres/src/**/*.int.spec.ts'],
  systems: ['test/compat-postgres/*.compat.ts', 'test/nestjs/sagas.int.spec.ts'],
  globalSetup: 'test/compat-postgres/global-setup.ts',
});
