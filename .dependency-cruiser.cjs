// Which room may know which. Arrows point inward; a wrong one fails the build.

/** What specs and their fixtures may do and shipped code may not: reach for test tools and for sibling packages. */
const spec = '[.](spec|fixture)[.]ts$';

/** Built and shipped with nothing; only specs can want it, and no door should offer it. */
const fixture = '[.]fixture[.]ts$';

const innermost = 'errors|clock|observers|ports|retry|text';
const single = '^libs/core/src/[^/]+[.]ts$';
const door = '^libs/core/src/index[.]ts$';
const core = (folders) => `^libs/core/src/(${folders})/`;

module.exports = {
  forbidden: [
    {
      name: 'core-knows-no-other-package',
      comment: '@sagaz/core holds the ideas: no other package, no framework, no driver.',
      severity: 'error',
      from: { path: '^libs/core/src/', pathNot: spec },
      to: { pathNot: '^libs/core/src/', dependencyTypesNot: ['core'] },
    },
    {
      name: 'core-does-no-input-or-output',
      comment: 'Files, networks and processes are for the implementations of the ports.',
      severity: 'error',
      from: { path: '^libs/core/src/', pathNot: spec },
      to: {
        dependencyTypes: ['core'],
        path: '^(node:)?(child_process|cluster|dgram|dns|fs|http|http2|https|inspector|net|readline|repl|sqlite|tls|tty|worker_threads)(/|$)',
      },
    },
    {
      name: 'drivers-know-core-only',
      comment:
        'A driver package implements ports of @sagaz/core and knows no other package of ours.',
      severity: 'error',
      from: { path: '^libs/(postgres|kafka|rabbitmq|redis|nats)/src/', pathNot: spec },
      to: { path: '^(libs|apps|test)/', pathNot: '^libs/(core|$1)/' },
    },
    {
      name: 'drivers-know-their-own-client-only',
      comment: 'A driver package brings no framework, and no client but the one it is named after.',
      severity: 'error',
      from: { path: '^libs/(postgres|kafka|rabbitmq|redis|nats)/src/', pathNot: spec },
      to: { path: 'node_modules/(@nestjs|typeorm|nestjs-|@nestjs-cls|rxjs|reflect-metadata)' },
    },
    {
      name: 'nestjs-knows-core-only',
      comment:
        '@sagaz/nestjs takes its drivers as values; which ones is the choice of the application.',
      severity: 'error',
      from: { path: '^libs/nestjs/src/', pathNot: spec },
      to: { path: '^(libs|apps|test)/', pathNot: '^libs/(core|nestjs)/' },
    },
    {
      name: 'nestjs-loads-no-driver',
      severity: 'error',
      from: { path: '^libs/nestjs/src/', pathNot: spec },
      to: { path: 'node_modules/(pg|kafkajs|amqplib|ioredis|@nats-io)/' },
    },
    {
      name: 'optional-peers-stay-behind-their-subpath',
      comment: 'Terminus and Prometheus are optional: the main entry must load without them.',
      severity: 'error',
      from: { path: '^libs/nestjs/src/', pathNot: ['^libs/nestjs/src/(health|metrics)/', spec] },
      to: {
        path: 'node_modules/(@nestjs/terminus|@willsoto/nestjs-prometheus|prom-client)/|^libs/nestjs/src/(health|metrics)/',
      },
    },
    {
      name: 'cli-knows-core-and-drivers',
      severity: 'error',
      from: { path: '^libs/cli/src/', pathNot: spec },
      to: { path: '^(libs/nestjs|apps|test)/' },
    },
    {
      name: 'libraries-know-no-application-and-no-test',
      severity: 'error',
      from: { path: '^libs/', pathNot: spec },
      to: { path: '^(apps|test|scripts|bench)/' },
    },
    {
      name: 'applications-talk-by-messages',
      comment: 'One service never imports the code of another; they share what their messages say.',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'packages-are-entered-by-their-name',
      comment: 'A relative path into another package works here and breaks once published.',
      severity: 'error',
      from: { path: '^(?:libs|apps)/([^/]+)/' },
      to: { path: '^libs/', pathNot: '^libs/$1/', dependencyTypes: ['local'] },
    },
    {
      name: 'inner-core-knows-nothing-of-outer-core',
      comment:
        'errors, clock, observers, ports, retry and the single files beside them are what all else stands on.',
      severity: 'error',
      from: { path: [core(innermost), single], pathNot: [door, spec] },
      to: { path: '^libs/core/src/', pathNot: [core(innermost), single] },
    },
    {
      name: 'messaging-knows-the-inner-core-only',
      comment: 'An outbox and an inbox work without any saga.',
      severity: 'error',
      from: { path: core('messaging'), pathNot: spec },
      to: { path: '^libs/core/src/', pathNot: [core(`${innermost}|messaging`), single] },
    },
    {
      name: 'saga-knows-messages-and-the-inner-core-only',
      comment: 'What a saga is, is said without how it runs; its steps may be commands.',
      severity: 'error',
      from: { path: core('saga'), pathNot: spec },
      to: { path: '^libs/core/src/', pathNot: [core(`${innermost}|messaging|saga`), single] },
    },
    {
      name: 'engine-knows-no-implementation',
      severity: 'error',
      from: { path: core('engine'), pathNot: spec },
      to: { path: core('memory|testing') },
    },
    {
      name: 'only-specs-use-testing',
      comment: 'memory/ is a product for first tries; it must not bring the test kit with it.',
      severity: 'error',
      from: { path: core('memory'), pathNot: spec },
      to: { path: core('testing') },
    },
    {
      name: 'folders-are-entered-by-their-door',
      comment: "A folder's index.ts says what others may use; past it, nothing may be relied on.",
      severity: 'error',
      from: { path: '^libs/([^/]+)/src/([^/]+)/' },
      to: {
        path: '^libs/$1/src/[^/]+/',
        pathNot: ['^libs/$1/src/$2/', '^libs/$1/src/[^/]+/index[.]ts$', fixture],
      },
    },
    {
      name: 'folders-are-entered-by-their-door-from-above',
      severity: 'error',
      from: { path: '^libs/([^/]+)/src/[^/]+$' },
      to: { path: '^libs/$1/src/[^/]+/', pathNot: '^libs/$1/src/[^/]+/index[.]ts$' },
    },
    {
      name: 'no-cycles',
      comment: 'Modules that need each other cannot be understood, tested or loaded alone.',
      severity: 'error',
      from: { pathNot: '[.]entity[.]ts$' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'shipped-code-uses-no-dev-dependency',
      severity: 'error',
      from: { path: '^(libs|apps)/[^/]+/src/', pathNot: spec },
      to: {
        dependencyTypes: ['npm-dev'],
        dependencyTypesNot: ['npm', 'npm-peer', 'npm-optional', 'type-only'],
      },
    },
    {
      name: 'only-specs-use-fixtures',
      severity: 'error',
      from: { pathNot: [spec, '\\.compat\\.ts$'] },
      to: { path: fixture },
    },
    {
      name: 'every-import-resolves',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    combinedDependencies: false,
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@sagaz/source', 'import', 'node', 'types', 'default'],
      mainFields: ['main', 'types'],
    },
  },
};
