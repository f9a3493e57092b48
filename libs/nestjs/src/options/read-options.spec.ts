import type { BrokerDriver, StoreDriver } from '@sagaz/core';
import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENT } from './environment.js';
import { InvalidOptionsError } from './invalid-options.error.js';
import { readDataSources } from './data-sources.js';
import { describeOptions, migratesAtStart, readOptions } from './read-options.js';
import { unknownVariables } from './unknown-variables.js';

const create = () => Promise.reject(new Error('unused'));
const store: StoreDriver = { kind: 'store', name: 'memory', create };
const broker: BrokerDriver = { kind: 'broker', name: 'postgres', create };
const minimal = { service: 'orders', store, broker };

function problemsOf(options: unknown, environment: Record<string, string> = {}): string {
  try {
    readOptions(options, environment);
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.message;
    throw error;
  }
  return 'none';
}

function dataSourceProblems(given: unknown): string {
  try {
    readDataSources(given);
  } catch (error) {
    if (error instanceof InvalidOptionsError) return error.message;
    throw error;
  }
  return 'none';
}

describe('options of SagazModule', () => {
  it('are complete when only what has no default is given', () => {
    const options = readOptions(minimal, {});
    expect(options).toMatchObject({
      roles: { engine: true, relay: true, consume: true },
      engine: {
        maxInFlight: 500,
        maxStarts: 5_000,
        maxWaits: 10_000,
        keep: { completed: 30 * 86_400_000, partiallyCommitted: 90 * 86_400_000 },
      },
      relay: { batchSize: 1000, pollInterval: 1000, publishTimeout: 5000, lease: 10_000 },
      inbox: { concurrency: 10, timeout: 900_000, maxCrashes: 3, keepDone: 7 * 86_400_000 },
      migrate: 'auto',
      shutdownTimeout: 10_000,
    });
    expect(options.inbox.retry).toMatchObject({ attempts: 8, backoffMs: 200, maxDelayMs: 60_000 });
    expect(options.store).toBe(store);
  });

  it('come from the environment before the code, and from the code before the default', () => {
    const options = readOptions(
      { ...minimal, relay: { batchSize: 7, pollInterval: '3s' }, roles: { relay: true } },
      { SAGAZ_RELAY_BATCH_SIZE: '50', SAGAZ_ROLES: 'relay', SAGAZ_SERVICE: '' },
    );
    expect(options.service).toBe('orders');
    expect(options.relay).toMatchObject({ batchSize: 50, pollInterval: 3000, lease: 10_000 });
    expect(options.roles).toEqual({ engine: false, relay: true, consume: false });
  });

  it('take every variable that is documented to the option it names', () => {
    const values: Record<string, string> = { SAGAZ_SERVICE: 'billing', SAGAZ_ROLES: 'engine' };
    for (const { variable, reading } of ENVIRONMENT) {
      values[variable] ??= reading === 'number' ? '3' : reading === 'migrate' ? 'false' : '4s';
    }
    values['SAGAZ_SIGNING_KEYS'] = 'a key that has at least thirty-two bytes';
    values['SAGAZ_SIGNING_UNSIGNED'] = 'accept';
    values['SAGAZ_INBOX_KEEP_DONE'] = values['SAGAZ_INBOX_KEEP_KEYS'] = '4m';
    values['SAGAZ_RELAY_PUBLISH_TIMEOUT'] = '2s';
    for (const { variable, option } of ENVIRONMENT) {
      if (option.startsWith('engine.keep.')) values[variable] = '5m';
    }
    values['SAGAZ_ENGINE_KEEP_TERMINATED'] = 'false';
    const minutes = { completed: 300_000, compensated: 300_000, partiallyCommitted: 300_000 };
    const keep = { ...minutes, terminated: null, keys: 300_000 };
    expect(readOptions(minimal, values)).toMatchObject({
      service: 'billing',
      roles: { engine: true, relay: false, consume: false },
      engine: { maxInFlight: 3, maxStarts: 3, maxWaits: 3, keep },
      relay: {
        batchSize: 3,
        pollInterval: 4000,
        publishTimeout: 2000,
        lease: 4000,
        retry: { attempts: 3, backoffMs: 4000, maxDelayMs: 4000 },
      },
      inbox: {
        retry: { attempts: 3, backoffMs: 4000, maxDelayMs: 4000 },
        concurrency: 3,
        timeout: 4000,
        maxCrashes: 3,
        keepDone: 240_000,
        keepKeys: 240_000,
      },
      signing: { acceptsUnsigned: true },
      migrate: false,
      shutdownTimeout: 4000,
    });
  });

  it('take the keys of messages from code or environment, and show them nowhere', () => {
    const key = 'the key that has at least thirty-two bytes';
    const older = `an older ${key}`;
    expect(readOptions(minimal, {}).signing).toBeUndefined();
    for (const [signing, environment] of [
      [{ keys: [key, Buffer.from(older)] }, {}],
      [
        { key: 'another key of at least thirty-two bytes' },
        { SAGAZ_SIGNING_KEYS: `${key}, ${older}` },
      ],
      [undefined, { SAGAZ_SIGNING_KEYS: `${key},${older}`, SAGAZ_SIGNING_UNSIGNED: 'accept' }],
    ] as const) {
      const options = readOptions({ ...minimal, ...(signing && { signing }) }, environment);
      expect(options.signing?.keyIds).toHaveLength(2);
      const told = JSON.stringify([describeOptions(options), options]);
      expect(told).toContain(options.signing?.keyIds[0]);
      expect(told).not.toContain('thirty-two');
    }
  });

  it.each([
    ['neither key nor keys', {}, {}, /signing\.keys.*give \{ key \}/],
    ['both', { key: 'thirty-two', keys: ['thirty-two'] }, {}, /signing\.keys.*give \{ key \}/],
    ['a short one', { key: 'thirty-two' }, {}, /signing\.key\b.*hidden.*key 1 of 1 has 10 bytes/],
    ['no text', { keys: [32] }, {}, /signing\.keys\.0.*give keys of at least 32/],
    ['a text in their place', 'thirty-two', {}, /signing.*hidden/],
    ['another name', { secretKey: 'thirty-two' }, {}, /signing\.secretKey/],
    ['a bad word', { key: 'x'.repeat(32), unsigned: 'maybe' }, {}, /signing\.unsigned.*'refuse'/],
    [
      'a short variable',
      undefined,
      { SAGAZ_SIGNING_KEYS: 'thirty-two,x' },
      /SAGAZ_SIGNING_KEYS.*key 1 of 2/,
    ],
    [
      'a slip in the variable',
      undefined,
      { SAGAZ_SIGNING_KEY: 'thirty-two' },
      /did you mean SAGAZ_SIGNING_KEYS/,
    ],
    [
      'another slip',
      undefined,
      { SAGAZ_SGNING_KEYS: 'thirty-two' },
      /did you mean SAGAZ_SIGNING_KEYS/,
    ],
  ] as const)('refuse signing with %s, and show no key', (_, signing, environment, problem) => {
    const text = problemsOf({ ...minimal, ...(signing !== undefined && { signing }) }, environment);
    expect(text).toMatch(problem);
    expect(text).not.toContain('thirty-two');
  });

  it('have no time limit for handlers where that is said', () => {
    expect(readOptions({ ...minimal, inbox: { timeout: false } }, {}).inbox.timeout).toBeNull();
    const variable = readOptions(minimal, { SAGAZ_INBOX_TIMEOUT: 'false' });
    expect(variable.inbox.timeout).toBeNull();
    expect(problemsOf({ ...minimal, inbox: { timeout: 0, maxCrashes: '2' } }, {})).toMatch(
      /inbox\.timeout.*give a duration from 1ms to 30d[\s\S]*inbox\.maxCrashes.*whole number from 1 to 100|inbox\.maxCrashes[\s\S]*inbox\.timeout/,
    );
  });

  it('are refused all at once, each with its name, what was given and what is expected', () => {
    const message = problemsOf(
      {
        service: 'my orders',
        store: 'postgres',
        broker,
        relay: { batchSize: 0, retry: { attempts: 0, factor: 0 }, batchsize: 5 },
        inbox: { retry: { backoff: 'soon' } },
        shutdownTimeout: 'ten seconds',
        engine: { lease: null },
      },
      { SAGAZ_ENGINE_MAX_IN_FLIGHT: 'many', SAGAZ_ROLES: 'engine,relais' },
    );
    for (const part of [
      "service is 'my orders': give the service's name",
      "store is 'postgres': give a store driver, for example postgres()",
      'relay.batchSize is 0: give a whole number from 1 to 10,000',
      'relay.retry.attempts is 0: give a whole number of 1 or more',
      'relay.retry.factor is 0: give a number from 1 to 100',
      'relay.batchsize is 5: there is no such option; give { batchSize, pollInterval,',
      "inbox.retry.backoff is 'soon': give a number of milliseconds",
      "shutdownTimeout is 'ten seconds': give a duration from 1ms to 1h",
      'engine.lease is null: give a duration from 1s to 1h',
      "engine.maxInFlight (from SAGAZ_ENGINE_MAX_IN_FLIGHT) is 'many': give a whole number",
      "roles (from SAGAZ_ROLES) is 'engine,relais': give { engine, relay, consume }; in the environment a list",
    ]) {
      expect(message).toContain(part);
    }
  });

  it('say which driver stands in the place of which', () => {
    const message = problemsOf({
      service: 'a',
      store: broker,
      stores: { billing: broker },
      broker: store,
    });
    for (const line of [
      "store is the broker driver 'postgres': give it as the option broker, and here a store driver, for example postgres() of @sagaz/postgres.",
      "stores.billing is the broker driver 'postgres': give it as the option broker, and here a store driver, for example postgres() of @sagaz/postgres.",
      "broker is the store driver 'memory': give it as the option store, and here a broker driver, for example postgresBroker() of @sagaz/postgres.",
    ]) {
      expect(message).toContain(`  - ${line}\n`);
    }
  });

  it('need a broker only where something is relayed or consumed', () => {
    expect(problemsOf({ service: 'a', store })).toContain('broker is missing: give a broker');
    expect(problemsOf({ service: 'a', store, roles: { relay: false, consume: false } })).toBe(
      'none',
    );
  });

  it('refuse a publish that may outlive the lease of its slot', () => {
    expect(problemsOf({ ...minimal, relay: { publishTimeout: '10s' } })).toContain(
      "relay.publishTimeout is '10s': give at most six tenths of relay.lease (10000 ms)",
    );
  });

  it('refuse it too where the lease alone was made shorter', () => {
    expect(problemsOf({ ...minimal, relay: { lease: '3s' } })).toContain(
      'relay.publishTimeout is 5000 ms by default: give at most six tenths of relay.lease (3000 ms)',
    );
  });

  it('refuse what nobody would live to see', () => {
    for (const option of ['engine.lease', 'relay.lease', 'relay.pollInterval']) {
      const [part = '', name = ''] = option.split('.');
      expect(problemsOf({ ...minimal, [part]: { [name]: '30d' } })).toContain(
        `${option} is '30d': give a duration from`,
      );
    }
  });

  it('name the delay that is shorter than the first one', () => {
    const retry = { backoff: '10m', maxDelay: '1s' };
    expect(problemsOf({ ...minimal, inbox: { retry } })).toContain(
      "inbox.retry.maxDelay is '1s': give at least the backoff, 600000 ms",
    );
  });

  it('say where dataSources stands when a factory gives it', () => {
    expect(problemsOf({ ...minimal, dataSources: ['default'] })).toContain(
      'dataSources is a list: it stands beside useFactory: forRootAsync({ dataSources, useFactory })',
    );
  });

  it('name DataSources that are none, twice the same, or joined in a way there is not', () => {
    for (const [given, told] of [
      ['default', "dataSources is 'default': give"],
      [undefined, 'dataSources is undefined: give'],
      [['a', { nam: 'x' }], "dataSources.1 is { nam: 'x' }: give"],
      [[''], "dataSources.0 is '': give"],
      [[{ name: 'a', ambient: 'of' }], "dataSources.0 is { name: 'a', ambient: 'of' }: give"],
    ] as const) {
      expect(() => readDataSources(given)).toThrow(told);
    }
    expect(() => readDataSources(['a', { name: 'a' }])).toThrow("give the name 'a' once");
    expect(readDataSources(['a', { name: 'b', ambient: 'off' }])).toEqual([
      { name: 'a', ambient: 'join' },
      { name: 'b', ambient: 'off' },
    ]);
  });

  it('refuse a DataSource in place of its name, and show none of its passwords', () => {
    const dataSource = new DataSource({ type: 'postgres', url: 'postgres://me:two words@db/x' });
    for (const given of [
      dataSource,
      [dataSource],
      [{ name: 'a', url: 'postgres://me:two words@db/x' }],
      [{ name: 'a', password: 'two words' }],
      ['postgres://me:two words@db/x', 'postgres://me:two words@db/x'],
    ]) {
      const text = dataSourceProblems(given);
      expect(text).toMatch(/^ {2}- dataSources(\.0)? is .+: give /m);
      expect(text).not.toMatch(/two|words/);
    }
  });

  it('refuse a variable that is a slip of the pen', () => {
    for (const [given, meant] of [
      ['SAGAZ_INBOX_CONCURENCY', 'SAGAZ_INBOX_CONCURRENCY'],
      ['SAGAZ_ROLE', 'SAGAZ_ROLES'],
      ['sagaz_migrate', 'SAGAZ_MIGRATE'],
    ] as const) {
      expect(problemsOf(minimal, { [given]: '5' })).toContain(
        `${given} is '5': there is no such variable; did you mean ${meant}?`,
      );
    }
  });

  it('bear variables of others: of the command line, and those Kubernetes makes', () => {
    const others = {
      SAGAZ_DATABASE_URL: 'postgres://me:hunter2@db/orders',
      SAGAZ_SCHEMA: 'sagaz',
      SAGAZ_PORT: 'tcp://10.0.0.1:5432',
      SAGAZ_SERVICE_HOST: '10.0.0.1',
    };
    expect(problemsOf(minimal, others)).toBe('none');
    expect(unknownVariables(others).map(({ variable }) => variable)).toEqual([
      'SAGAZ_PORT',
      'SAGAZ_SERVICE_HOST',
    ]);
  });

  it('never show a password, however it was written', () => {
    for (const url of [
      'postgres://me:hunter2@db/orders',
      'postgres://me:hun@ter2@db/orders',
      'postgres://me:hunter2/x@db/orders',
      'postgres://db/orders?user=me&password=hunter2',
      'host=db password=hunter2',
      'postgres://me:hun hunter2@db/x',
      'postgres://me:hun@a hun@ter2@db',
      "password='hun hunter2'",
      'https://db/orders?token=hunter2',
    ]) {
      expect(problemsOf({ ...minimal, store: url })).not.toMatch(/hun|ter2/);
      expect(problemsOf(minimal, { SAGAZ_ROLES: url })).not.toMatch(/hun|ter2/);
    }
  });

  it('never show a password', () => {
    const message = problemsOf({
      ...minimal,
      store: 'postgres://me:hunter2@db/orders',
      password: 'hunter2',
    });
    expect(message).toContain("store is 'postgres://me:***@db/orders'");
    expect(message).toContain('password is (hidden)');
    expect(message).not.toContain('hunter2');
    expect(JSON.stringify(describeOptions(readOptions(minimal, {})))).toContain('"store":"memory"');
  });

  it('migrate at the start everywhere but in production, unless told otherwise', () => {
    expect(migratesAtStart('auto', {})).toBe(true);
    expect(migratesAtStart('auto', { NODE_ENV: 'production' })).toBe(false);
    expect(migratesAtStart(true, { NODE_ENV: 'production' })).toBe(true);
    expect(migratesAtStart(false, {})).toBe(false);
  });
});
