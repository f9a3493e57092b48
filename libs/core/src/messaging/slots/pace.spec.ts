import { expect, it } from 'vitest';
import { VirtualClock } from '../../testing/index.js';
import { Pace } from './pace.js';

const BUSY_MS = 8;
const POLL_MS = 1_000;

/** One look that takes `tookMs` and finds `rows`; answers how long the pace then waits. */
async function waitAfter(
  rows: number,
  { tookMs = 0, hinted = false, more = false } = {},
): Promise<number> {
  const clock = new VirtualClock();
  const pace = new Pace(clock, BUSY_MS, POLL_MS);
  pace.begin();
  await clock.advance(tookMs);
  if (hinted) pace.hint();
  const began = clock.now();
  await clock.until(pace.next(rows, more));
  return clock.now() - began;
}

it('looks again at once where there is more', async () => {
  expect(await waitAfter(500, { more: true })).toBe(0);
});

it('follows a hint at once where little is found, and lets more of them gather the more is found', async () => {
  expect(await waitAfter(0, { hinted: true })).toBe(0);
  expect(await waitAfter(1, { hinted: true })).toBe(1);
  expect(await waitAfter(4, { hinted: true })).toBe(4);
  expect(await waitAfter(8, { hinted: true })).toBe(BUSY_MS);
  expect(await waitAfter(500, { hinted: true })).toBe(BUSY_MS);
});

it('looks at most half of the time, and never keeps a hint waiting for longer than when it is busy', async () => {
  expect(await waitAfter(0, { hinted: true, tookMs: 3 })).toBe(3);
  expect(await waitAfter(1, { hinted: true, tookMs: 50 })).toBe(BUSY_MS);
});

it('looks without a hint soon where much was found, later where little was, and ever later where nothing was', async () => {
  expect(await waitAfter(100)).toBe(BUSY_MS);
  expect(await waitAfter(1)).toBe(4 * BUSY_MS);
  expect(await waitAfter(0)).toBe(POLL_MS);
});

it('follows a hint that comes while it waits', async () => {
  const clock = new VirtualClock();
  const pace = new Pace(clock, BUSY_MS, POLL_MS);
  pace.begin();
  const next = pace.next(8, false);
  pace.hint();
  let over = false;
  void next.then(() => (over = true));
  await clock.advance(BUSY_MS - 1);
  expect(over).toBe(false);
  await clock.advance(1);
  await next;
  expect(over).toBe(true);
});

it('waits for nothing any more once it is closed', async () => {
  const pace = new Pace(new VirtualClock(), BUSY_MS, POLL_MS);
  pace.begin();
  const next = pace.next(0, false);
  pace.close();
  await next;
  await pace.next(0, false);
});
