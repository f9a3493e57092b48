import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const noDoubleAssertion = {
  selector: 'TSAsExpression > TSAsExpression > TSUnknownKeyword',
  message: 'A double assertion switches the compiler off. Narrow the value, or fix its type.',
};

const THROWN = '/^(error|err|failure|thrown|reason|cause|e)$/';
const useErrorText =
  'Whatever was thrown may have no text, or throw again when it is read: use errorText, errorMessage or isError.';
const noTextOfThrown = [
  {
    selector: `CallExpression[callee.name='String'] > Identifier.arguments[name=${THROWN}]`,
    message: useErrorText,
  },
  {
    selector: `CallExpression[callee.name='String'] > MemberExpression.arguments[property.name=${THROWN}]`,
    message: useErrorText,
  },
  {
    selector: `ConditionalExpression[test.operator='instanceof'][test.right.name='Error'] > MemberExpression.consequent[property.name=/^(message|stack|name)$/]`,
    message: useErrorText,
  },
  {
    selector: `TemplateLiteral > Identifier.expressions[name=/^(error|err|thrown)$/]`,
    message: useErrorText,
  },
];

export default defineConfig(
  globalIgnores(['**/dist/', '**/node_modules/', '**/coverage/', 'bench/', 'docs/api/']),
  {
    linterOptions: {
      // A rule that is wrong here is changed here, for everybody, with a reason.
      noInlineConfig: true,
      reportUnusedDisableDirectives: 'error',
    },
  },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        // These projects hold the sources and the specs; the building ones hold the sources only.
        project: [
          '{libs,apps}/*/tsconfig.spec.json',
          'test/tsconfig.spec.json',
          'test/*/tsconfig.spec.json',
        ],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'max-lines': ['error', { max: 350 }],
      'no-restricted-syntax': ['error', noDoubleAssertion],
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'separate-type-imports' },
      ],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // Nest modules are classes that hold nothing but their decorator.
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // Ports are asynchronous; an implementation that has nothing to wait for is still one.
      '@typescript-eslint/require-await': 'off',
      // Nest declares the options of many modules as classes and expects object literals.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      // A type parameter used once is how a brand or a phantom type is written.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: ['libs/core/src/**/*.ts'],
    // Identifiers carry the wall clock's time so that they sort; they decide nothing.
    ignores: ['**/*.{spec,fixture}.ts', 'libs/core/src/ids.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'Date',
          property: 'now',
          message: 'Ask the Clock port: tests turn it, and wall clocks jump.',
        },
      ],
    },
  },
  {
    files: ['libs/*/src/**/*.ts'],
    // The one place that reads what was thrown; and what only tests run.
    ignores: ['**/*.{spec,fixture}.ts', 'libs/core/src/errors/**', 'libs/core/src/testing/**'],
    rules: { 'no-restricted-syntax': ['error', noDoubleAssertion, ...noTextOfThrown] },
  },
  {
    files: ['**/*.{spec,fixture}.ts', 'test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      // People throw anything, and so do specs about what becomes of it.
      '@typescript-eslint/only-throw-error': [
        'error',
        { allowThrowingUnknown: true, allowThrowingAny: true },
      ],
      // Rows of a query that a spec makes are looked at, not handed on.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    // Generated from migrations/, and as long as they are.
    files: ['libs/postgres/src/migrations/sources.ts'],
    rules: { 'max-lines': 'off' },
  },
  {
    // What must not compile can only be said by expecting the error.
    files: ['**/*.types.spec.ts'],
    rules: {
      'max-lines': 'off',
      '@typescript-eslint/ban-ts-comment': [
        'error',
        { 'ts-expect-error': 'allow-with-description' },
      ],
      '@typescript-eslint/no-unused-vars': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: {
        AbortController: 'readonly',
        AbortSignal: 'readonly',
        Buffer: 'readonly',
        URL: 'readonly',
        clearInterval: 'readonly',
        clearTimeout: 'readonly',
        console: 'readonly',
        fetch: 'readonly',
        performance: 'readonly',
        process: 'readonly',
        queueMicrotask: 'readonly',
        setImmediate: 'readonly',
        setInterval: 'readonly',
        setTimeout: 'readonly',
        structuredClone: 'readonly',
      },
    },
  },
);
