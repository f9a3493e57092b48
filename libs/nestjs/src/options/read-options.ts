import { valueText } from '@sagaz/core';
import { isDriver } from './drivers.js';
import { withEnvironment } from './environment.js';
import { InvalidOptionsError, type OptionProblem } from './invalid-options.error.js';
import { optionsSchema, type EffectiveOptions } from './options-schema.js';
import { unknownVariables } from './unknown-variables.js';

/** Returns the value at a path of the given options. */
function at(options: unknown, path: readonly PropertyKey[]): unknown {
  let value = options;
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}

const SECRET = /pass(word|wd)?|secret|token|credential|api_?key|signing/i;

/** Prints a value for a log, without passwords and without the internals of drivers. */
function shown(value: unknown, name: string): string {
  if (value === undefined) return 'missing';
  if (SECRET.test(name)) return '(hidden)';
  if (isDriver(value)) return `the ${value.kind} driver '${value.name}'`;
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'a list' : 'an object';
  }
  return typeof value === 'function' ? 'a function' : valueText(value);
}

/** Makes the problem of a name that no option has. */
function noSuchOption(
  { path, message }: { readonly path: readonly PropertyKey[]; readonly message: string },
  key: string,
): string {
  // Nest must know the names of DataSources before it runs a factory, so a factory cannot return them.
  if (path.length === 0 && key === 'dataSources') {
    return 'it stands beside useFactory: forRootAsync({ dataSources, useFactory })';
  }
  return `there is no such option; ${message}`;
}

/** @throws InvalidOptionsError with all problems */
export function readOptions(
  given: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): EffectiveOptions {
  const { options, variables } = withEnvironment(given, environment);
  const misspelt = unknownVariables(environment).filter(({ meant }) => meant !== undefined);
  const parsed = optionsSchema.safeParse(options);
  const problems: OptionProblem[] = misspelt.map(({ variable, meant }) => ({
    option: variable,
    variable: undefined,
    // The name that was probably meant also decides whether a value is shown, so that a slip in the
    // name of a secret does not reveal it.
    given: shown(environment[variable], `${variable} ${meant ?? ''}`),
    expected: `there is no such variable; did you mean ${meant ?? ''}? Unset it if not`,
  }));
  const add = (path: readonly PropertyKey[], expected: string, effectively?: string): void => {
    const option = path.map(String).join('.');
    const value = at(options, path);
    problems.push({
      option: option === '' ? 'the argument of forRoot' : option,
      variable: variables.get(option),
      given: value === undefined && effectively !== undefined ? effectively : shown(value, option),
      expected,
    });
  };
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) add([...issue.path, key], noSuchOption(issue, key));
      } else add(issue.path, issue.message);
    }
    throw new InvalidOptionsError(problems);
  }
  const effective = parsed.data;
  if (effective.store === undefined && Object.keys(effective.stores).length === 0) {
    add(['store'], 'give a store, for example postgres() of @sagaz/postgres');
  }
  if (effective.broker === undefined && (effective.roles.relay || effective.roles.consume)) {
    add(
      ['broker'],
      'give a broker, for example postgresBroker(), or turn off what needs one: roles: { relay: false, consume: false }',
    );
  }
  if (effective.relay.publishTimeout > effective.relay.lease * 0.6) {
    add(
      ['relay', 'publishTimeout'],
      `give at most six tenths of relay.lease (${effective.relay.lease} ms), or a publish outlives the right to it`,
      `${effective.relay.publishTimeout} ms by default`,
    );
  }
  if (problems.length > 0) throw new InvalidOptionsError(problems);
  return effective;
}

/** The effective options as one printable object: drivers by name, nothing secret. */
export function describeOptions(options: EffectiveOptions): Record<string, unknown> {
  const { store, stores, broker, signing, ...rest } = options;
  return {
    ...rest,
    store: store?.name,
    stores: Object.fromEntries(Object.entries(stores).map(([name, driver]) => [name, driver.name])),
    broker: broker?.name,
    ...(signing === undefined
      ? {}
      : {
          signing: {
            keys: signing.keyIds,
            unsigned: signing.acceptsUnsigned ? 'accept' : 'refuse',
          },
        }),
  };
}

/** Whether this process applies migrations when it starts. */
export function migratesAtStart(
  migrate: EffectiveOptions['migrate'],
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return migrate === 'auto' ? environment['NODE_ENV'] !== 'production' : migrate;
}
