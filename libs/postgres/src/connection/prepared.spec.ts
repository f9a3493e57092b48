import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Prepared } from './prepared.js';

describe('a prepared statement', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('has one name per text, short enough for PostgreSQL', () => {
    const name = new Prepared('SELECT 1').with([]).name ?? '';
    expect(new Prepared('SELECT 1').with([]).name).toBe(name);
    expect(new Prepared('SELECT 2').with([]).name).not.toBe(name);
    expect(name.length).toBeLessThan(64);
  });

  it('is planned anew while its tables may still be growing from nothing, and then no more', () => {
    const statement = new Prepared('SELECT 1');
    const names = new Set<string | undefined>();
    for (let second = 0; second < 3_600; second += 1) {
      names.add(statement.with([]).name);
      vi.advanceTimersByTime(1_000);
    }
    expect(names.size).toBe(8);
  });
});
