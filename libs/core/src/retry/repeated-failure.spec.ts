import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../testing/index.js';
import { RepeatedFailure } from './repeated-failure.js';

const grantMissing = Object.assign(new Error('permission denied for table outbox'), {
  code: '42501',
});

describe('something that fails over and over', () => {
  let clock: VirtualClock;
  let lines: string[];
  let failure: RepeatedFailure;
  beforeEach(() => {
    clock = new VirtualClock();
    lines = [];
    const say =
      (level: string) =>
      (message: string): void => {
        lines.push(`${level} ${message}`);
      };
    failure = new RepeatedFailure({
      clock,
      logger: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
      what: 'Reading the outbox',
      firstMs: 100,
      maxMs: 5_000,
      random: () => 1,
    });
  });

  it('is tried again after pauses that grow to a bound', () => {
    const pauses = Array.from({ length: 9 }, () => failure.failed(grantMissing));
    expect(pauses).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(failure.pauseLeftMs).toBe(5_000);
    failure.worked();
    expect(failure.pauseLeftMs).toBe(0);
    expect(failure.failed(grantMissing)).toBe(100);
  });

  it('is said at once, once a minute, when the reason changes, and when it works again', async () => {
    for (let second = 0; second < 130; second += 1) {
      failure.failed(grantMissing);
      await clock.advance(1_000);
    }
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('error Reading the outbox is refused');
    failure.failed(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }));
    failure.failed(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
    expect(lines).toHaveLength(4);
    expect(lines[3]).toBe('warn Reading the outbox failed; it is tried again.');
    failure.worked();
    failure.worked();
    expect(lines.slice(4)).toEqual(['info Reading the outbox works again.']);
  });

  it('makes a process unready at once where it is refused, else only where it is no accident', () => {
    const gone = new Error('Connection terminated unexpectedly');
    failure.failed(gone);
    failure.failed(gone);
    expect(failure.problem).toBeNull();
    failure.failed(gone);
    expect(failure.problem).toContain('Connection terminated');
    failure.worked();
    expect(failure.problem).toBeNull();
    failure.failed(grantMissing);
    expect(failure.problem).toBe('Reading the outbox fails: permission denied for table outbox');
  });

  it('has whole milliseconds of its pause left until the pause is over', async () => {
    failure.failed(grantMissing);
    await clock.advance(99.99999);
    // Added to a time since 1970, the rest would vanish, and a timer for it would fire at once, for ever.
    expect(failure.pauseLeftMs).toBe(1);
    await clock.advance(1);
    expect(failure.pauseLeftMs).toBe(0);
  });
});
