import swc from 'unplugin-swc';
import {
  defineConfig,
  type TestProjectInlineConfiguration,
  type ViteUserConfig,
} from 'vitest/config';
import { LongSpecsFirst } from './test/support/src/long-specs-first.js';

/** All projects have this in common. */
const shared = {
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
};

const limits = {
  pool: 'forks',
  // Two were idle for a third of the time on two processors, because tests wait for leases and time limits.
  maxWorkers: 3,
  // Bounds for what stands still, on a machine that other work keeps busy: they cost nothing where
  // the tests pass. A poll ends before its test does, so that the test says what did not come.
  testTimeout: 120_000,
  hookTimeout: 180_000,
  expect: { poll: { timeout: 60_000 } },
} as const;

const project = (
  name: string,
  include: string[],
  isolate: boolean,
): TestProjectInlineConfiguration => ({
  ...shared,
  test: {
    name,
    include,
    exclude: ['**/node_modules/**', '**/dist/**', '**/*.types.spec.ts'],
    ...limits,
    // Without isolation three processes run all specs of a project one after the other, because to load the
    // same modules again for each file took more time than the tests. Such a spec must restore what it
    // changes of its process: prototypes, timers, loggers, listeners, the environment. Specs of whole
    // applications do not all do so yet: of probes and of two-phase commits some failed after others.
    isolate,
  },
});

/** Which specs a run takes, and on what. Paths begin at the root of the repository. */
export interface Run {
  /** Specs of single packages. */
  readonly packages: string[];
  /** Specs of whole applications, which never share a process with those of single packages. */
  readonly systems: string[];
  /** Starts the servers of the run. */
  readonly globalSetup: string;
}

export const configOf = ({ packages, systems, globalSetup }: Run): ViteUserConfig =>
  defineConfig({
    ...shared,
    root: import.meta.dirname,
    test: {
      ...limits,
      globalSetup: [globalSetup],
      sequence: { sequencer: LongSpecsFirst },
      reporters: ['default', './test/support/src/summary-reporter.ts'],
      projects: [project('packages', packages, false), project('systems', systems, true)],
    },
  });

export default configOf({
  packages: ['{libs,apps}/*/src/**/*.spec.ts'],
  systems: ['test/**/*.spec.ts'],
  globalSetup: 'test/support/src/global-setup.ts',
});
