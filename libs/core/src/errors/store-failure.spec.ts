import { describe, expect, it } from 'vitest';
import { SagazError } from './sagaz-error.js';
import { storeFailureOf } from './store-failure.js';

class Wrapped extends SagazError {
  readonly code = 'SAGAZ_DATABASE_UNREACHABLE';
}

const coded = (code: string): Error => Object.assign(new Error('x'), { code, severity: 'ERROR' });

describe('what a failed use of a store says about the next one', () => {
  it.each([
    ['42501', 'refused'],
    ['42P01', 'refused'],
    ['42883', 'refused'],
    ['28P01', 'refused'],
    ['3D000', 'refused'],
    ['3F000', 'refused'],
    ['0A000', 'refused'],
    ['25006', 'refused'],
    ['42P05', 'failed'],
    ['25P02', 'failed'],
    ['40001', 'failed'],
    ['57014', 'failed'],
    ['53100', 'failed'],
    ['08006', 'away'],
    ['57P03', 'away'],
    ['53300', 'away'],
    ['ECONNREFUSED', 'away'],
    ['ENOTFOUND', 'away'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'failed'],
    ['SAGAZ_MISSING_PRIVILEGES', 'refused'],
    ['SAGAZ_MISSING_BROKER_GRANT', 'refused'],
    ['SAGAZ_SCHEMA_OUTDATED', 'refused'],
  ] as const)('%s: %s', (code, expected) => {
    expect(storeFailureOf(coded(code))).toBe(expected);
    expect(storeFailureOf(new Wrapped('x', 'y', { cause: coded(code) }))).toBe(expected);
    expect(storeFailureOf({ driverError: coded(code) })).toBe(expected);
  });

  it('is told by what pg says where there is no code', () => {
    expect(storeFailureOf(new Error('Connection terminated unexpectedly'))).toBe('away');
    expect(storeFailureOf(new Error('The server does not support SSL connections'))).toBe('failed');
    expect(storeFailureOf(new AggregateError([coded('ECONNREFUSED')]))).toBe('away');
  });

  it('is judged of anything, also of a circle of causes', () => {
    const circle = new Error('round');
    circle.cause = circle;
    for (const given of [circle, null, undefined, 'text', 7]) {
      expect(storeFailureOf(given)).toBe('failed');
    }
  });
});
