import swc from 'unplugin-swc';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [
    // Vitest's own compiler does not emit the types of decorated signatures, which Nest injects by.
    swc.vite({
      tsconfigFile: false,
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        keepClassNames: true,
      },
      module: { type: 'es6' },
    }),
  ],
  // Specs read the sources of every package, never a build that may be stale. Not 'import': the
  // workers hand these conditions to Node, which would then load ESM where CommonJS calls require.
  ssr: { resolve: { conditions: ['@sagaz/source', 'node', 'default'] } },
  test: {
    include: ['{libs,apps}/*/src/**/*.spec.ts', 'test/**/*.spec.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/*.types.spec.ts'],
    globalSetup: ['test/support/src/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // Bounds for what stands still, on a machine that other work keeps busy: they cost nothing where
    // the tests pass. A poll ends before its test does, so that the test says what did not come.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    reporters: ['default', './test/support/src/summary-reporter.ts'],
  },
});
