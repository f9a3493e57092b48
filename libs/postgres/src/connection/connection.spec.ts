import { describe, expect, it } from 'vitest';
import { connectionOptions, placeOf } from './pool-source.js';
import { schemaName } from './schema-name.js';
import { isConnectionError, isDataError, isTransientError, sqlState } from './sql-state.js';

describe('the name of a schema', () => {
  it.each(['sagaz', '_x', 'a1', 'a'.repeat(63)])('may be %j', (name) => {
    expect(schemaName(name)).toEqual({ text: name, quoted: `"${name}"` });
  });
  it.each(['', 'Sagaz', '1a', 'a-b', 'a"b', 'a.b', 'pg_x', 'information_schema', 'a'.repeat(64)])(
    'may not be %j',
    (name) => {
      expect(() => schemaName(name)).toThrow(/cannot be the name of a schema/);
    },
  );
});

describe('connection options', () => {
  const settings = { applicationName: 'a', connectTimeoutMs: 1_000, statementTimeoutMs: 2_000 };

  it('keep what cannot be enumerated, and drop what an application set for itself', () => {
    const application = { host: 'h', query_timeout: 5, lock_timeout: 5, max: 3, ssl: { ca: 'x' } };
    Object.defineProperty(application, 'password', { value: 'p', enumerable: false });
    const options = connectionOptions(
      { kind: 'application', options: application },
      settings,
      true,
    );
    expect(options.password).toBe('p');
    expect(JSON.stringify(options)).not.toContain('"p"');
    expect(options).toMatchObject({
      host: 'h',
      ssl: { ca: 'x' },
      keepAlive: true,
      statement_timeout: 2_000,
    });
    expect(options).not.toHaveProperty('query_timeout');
    expect(options).not.toHaveProperty('lock_timeout');
    expect(application.query_timeout).toBe(5);
  });

  it('ask a pooler that refuses settings for none', () => {
    const options = connectionOptions({ kind: 'url', url: 'postgres://h/d' }, settings, false);
    expect(options.options).toBeUndefined();
    expect(options.statement_timeout).toBeUndefined();
  });

  it.each([
    ['postgres://me:secret@h:1/d', 'h:1/d'],
    ['postgres:///d?host=/run/x', '/run/x/d'],
    ['nonsense', 'of the given url'],
  ])('name the place of %j without its secrets: %j', (url, place) => {
    expect(placeOf({ kind: 'url', url })).toBe(place);
  });
});

describe('errors of PostgreSQL', () => {
  const failed = (code: string): Error =>
    Object.assign(new Error(code), { code, severity: 'ERROR' });

  it.each([
    ['22P05', true, false, false],
    ['23505', true, false, false],
    ['54000', true, false, false],
    ['40001', false, true, false],
    ['40P01', false, true, false],
    ['55P03', false, true, false],
    ['57P01', false, false, true],
    ['08006', false, false, true],
    ['53300', false, false, true],
    ['42P01', false, false, false],
  ])('%s: data %s, transient %s, connection %s', (code, data, transient, connection) => {
    const error = failed(code);
    expect([isDataError(error), isTransientError(error), isConnectionError(error)]).toEqual([
      data,
      transient,
      connection,
    ]);
  });

  it('are told from those of the socket and of other libraries', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    expect(isConnectionError(reset)).toBe(true);
    expect(isConnectionError(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isConnectionError(new Error('out of stock'))).toBe(false);
    expect(sqlState(reset)).toBeUndefined();
    expect(sqlState(null)).toBeUndefined();
  });
});
