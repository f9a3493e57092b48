import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { NESTJS_VERSION } from './version.js';

it('is the version of the package', () => {
  const manifest = createRequire(import.meta.url)('../package.json') as { version: string };
  expect(NESTJS_VERSION).toBe(manifest.version);
});
