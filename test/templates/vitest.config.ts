import { mergeConfig } from 'vitest/config';
import base from '../../vitest.config.js';

// Its own run, because it installs each sample service anew: `npm run test:templates`.
const config = mergeConfig(base, { root: new URL('../..', import.meta.url).pathname });
config.test = { ...config.test, projects: undefined, include: ['test/templates/**/*.compat.ts'] };

export default config;
