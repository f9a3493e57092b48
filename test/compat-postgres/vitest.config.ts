import { mergeConfig } from 'vitest/config';
import base from '../../vitest.config.js';

// Its own run, because it installs three more servers: `npm run test:postgres`, and after `--` parts
// of paths to run only some of it.
const config = mergeConfig(base, { root: new URL('../..', import.meta.url).pathname });
config.test = {
  ...config.test,
  projects: undefined,
  include: [
    'test/compat-postgres/*.compat.ts',
    'libs/postgres/src/**/*.int.spec.ts',
    'test/nestjs/sagas.int.spec.ts',
  ],
  globalSetup: ['test/compat-postgres/global-setup.ts'],
};

export default config;
