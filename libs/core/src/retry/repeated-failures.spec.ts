import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../testing/index.js';
import { RepeatedFailures } from './index.js';

const MINUTE = 60_000;
const refused = Object.assign(new Error('no grant'), { code: '42501' });

let clock: VirtualClock;
let failures: RepeatedFailures;
beforeEach(() => {
  clock = new VirtualClock();
  failures = new RepeatedFailures({
    clock,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    firstMs: 1_000,
    random: () => 1,
  });
});

describe('failures of many pieces of work', () => {
  it('have pauses of their own, until their work succeeds', () => {
    failures.failed('a', refused);
    expect(failures.of('a')).toEqual({ error: refused, pauseLeftMs: 1_000 });
    expect(failures.of('b')).toBeNull();
    expect(failures.problem).toContain('a fails: no grant');
    failures.worked('a');
    expect(failures.of('a')).toBeNull();
    expect(failures).toMatchObject({ problem: null, empty: true });
  });

  it.each([
    ['is', true],
    ['is not', false],
  ])(
    'are forgotten two minutes after the last one, where the problem %s asked for meanwhile',
    async (_, asked) => {
      failures.failed('a', refused);
      await clock.advance(1_000);
      expect(failures.failed('a', refused)).toBe(2_000);
      await clock.advance(2 * MINUTE - 1);
      expect(failures.problem).not.toBeNull();
      expect(failures.of('a')).not.toBeNull();
      await clock.advance(1);
      if (asked) expect(failures.problem).toBeNull();
      expect(failures.of('a')).toBeNull();
      expect(failures.failed('a', refused)).toBe(1_000);
    },
  );

  it('do not pile up: those that nobody repeats are gone with the next new one', async () => {
    for (let n = 0; n < 10; n += 1) failures.failed(`old ${n}`, refused);
    await clock.advance(2 * MINUTE);
    failures.failed('new', refused);
    failures.worked('new');
    expect(failures.empty).toBe(true);
  });
});
