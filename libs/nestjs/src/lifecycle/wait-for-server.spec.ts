import { VirtualClock } from '@sagaz/core/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { StartTimeoutError, waitForServer, type Patience } from './wait-for-server.js';

const away = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), {
  code: 'ECONNREFUSED',
});

describe('a start whose database is away', () => {
  let clock: VirtualClock;
  let lines: string[];
  let patience: Patience;
  beforeEach(() => {
    clock = new VirtualClock();
    lines = [];
    const say = (message: string): void => void lines.push(message);
    patience = {
      clock,
      logger: { debug: say, info: say, warn: say, error: say },
      withinMs: 300_000,
    };
  });

  it('goes on when it comes, having said so at once and ever more seldom', async () => {
    let tries = 0;
    const started = waitForServer(
      'the database',
      () => {
        tries += 1;
        return clock.now() < 240_000 ? Promise.reject(away) : Promise.resolve('there');
      },
      patience,
    );
    await clock.settle();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('The start waits for the database, which is away');
    expect(await clock.until(started)).toBe('there');
    expect(lines.length).toBeLessThan(10);
    expect(lines.at(-1)).toBe('The start goes on: the database is there.');
    expect(tries).toBeLessThan(120);
  });

  it.each([
    ['a statement', { code: '57014' }],
    ['a lock', { code: '55P03' }],
    ['a statement of TypeORM', { driverError: { code: '57014' } }],
  ])('goes on when the server ended %s that took too long', async (_name, properties) => {
    const slow = Object.assign(new Error('canceling statement'), properties);
    const started = waitForServer(
      'the database',
      () => (clock.now() < 10_000 ? Promise.reject(slow) : Promise.resolve('there')),
      patience,
    );
    expect(await clock.until(started)).toBe('there');
    expect(lines[0]).toContain('The start waits for the database');
  });

  it('ends when it does not come in time, and says what was waited for and how to wait longer', async () => {
    const started = waitForServer('the store', () => Promise.reject(away), patience);
    const error: unknown = await clock.until(started).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StartTimeoutError);
    expect(String(error)).toMatch(/waited 300 s for the store.*ECONNREFUSED.*SAGAZ_START_TIMEOUT/);
    expect(clock.now()).toBeLessThanOrEqual(300_000);
  });

  it('ends at once where waiting would not help, or was not asked for', async () => {
    const wrong = Object.assign(new Error('password authentication failed'), { code: '28P01' });
    const refused = waitForServer('the database', () => Promise.reject(wrong), patience);
    await expect(refused).rejects.toBe(wrong);
    const impatient = waitForServer('the database', () => Promise.reject(away), {
      ...patience,
      withinMs: 0,
    });
    await expect(impatient).rejects.toBe(away);
    expect(lines).toEqual([]);
  });
});
