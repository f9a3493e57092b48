import type { ModulesContainer } from '@nestjs/core';
import { valueText } from '@sagaz/core';
import { InvalidOptionsError } from '../options/index.js';
import { ModuleSetupError } from './module-setup.error.js';

const ONCE =
  'Call SagazModule.forRoot({ service, store, broker }) once, in the root module. Other modules inject Sagas, Outbox and DeadLetters without importing anything.';

/**
 * Refuses a second `SagazModule` in an application: both would relay the same outbox, run the same
 * sagas and handle the same messages, each with options of its own.
 *
 * @throws ModuleSetupError
 */
export function requireOnce(modules: ModulesContainer, core: unknown): void {
  const count = [...modules.values()].filter(({ metatype }) => metatype === core).length;
  if (count > 1) {
    throw new ModuleSetupError(
      `The application imports Sagaz ${count} times, with options of its own each.`,
      ONCE,
    );
  }
}

/** @throws ModuleSetupError where the class was imported without `forRoot` */
export function requireConfigured(module: string, configured: true | undefined): void {
  if (configured === true) return;
  throw new ModuleSetupError(
    `${module} is imported without forRoot, so it has no options.`,
    ONCE.replaceAll('SagazModule', module),
  );
}

/**
 * Checks options that the compiler has not checked, in JavaScript for instance.
 *
 * @throws InvalidOptionsError
 */
export function requireOptions(method: string, options: unknown, expected: string): void {
  if (typeof options === 'object' && options !== null) return;
  throw new InvalidOptionsError([
    {
      option: `the argument of ${method}`,
      variable: undefined,
      given: options === undefined ? 'missing' : valueText(options),
      expected,
    },
  ]);
}
