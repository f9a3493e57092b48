import { mergeConfig } from 'vitest/config';
import base from '../../vitest.config.js';

// Its own run, because it installs a second framework: `npm run test:nest11`.
const config = mergeConfig(base, { root: new URL('../..', import.meta.url).pathname });
config.test = {
  ...config.test,
  projects: undefined,
  include: ['test/compat-nest11/**/*.compat.ts'],
};

export default config;
