import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { VERSION } from './version.js';

it('says the version that the package is published as', () => {
  const manifest = createRequire(import.meta.url)('../package.json') as { version: string };
  expect(VERSION).toBe(manifest.version);
});
