import { beforeEach, expect, it } from 'vitest';
import { MemoryStore } from '../memory/index.js';
import { Gate, VirtualClock } from '../testing/index.js';
import { SharedCounts } from './shared-counts.js';

const EVERY_MS = 5_000;
let clock: VirtualClock;
let store: MemoryStore;
let counted: string[];

beforeEach(() => {
  clock = new VirtualClock();
  store = new MemoryStore({ clock });
  counted = [];
});

/** The counts of one process, which notes that it counted, and does what `work` says meanwhile. */
function processOf(name: string, work: () => Promise<number> = () => Promise.resolve(0)) {
  const inbox = {
    countDeadLetters: () => {
      counted.push(name);
      return work();
    },
    landingBacklog: () => Promise.resolve([]),
  };
  const { sagas, outbox } = store;
  return new SharedCounts({ sagas, outbox, inbox }, { clock, everyMs: EVERY_MS, staleMs: 60_000 });
}

it('are made by one of the processes that ask, once in each interval', async () => {
  const [first, second] = [processOf('first'), processOf('second')];
  await Promise.all([first.latest(), second.latest(), first.latest(), second.latest()]);
  expect(counted).toHaveLength(1);
  await clock.advance(EVERY_MS - 1);
  expect((await second.latest())?.ageMs).toBe(EVERY_MS - 1);
  expect(counted).toHaveLength(1);
  await clock.advance(1);
  expect((await second.latest())?.ageMs).toBe(0);
  expect((await first.latest())?.ageMs).toBe(0);
  expect(counted.slice(1)).toEqual(['second']);
});

it('are those of the interval before while a process counts', async () => {
  await processOf('before', () => Promise.resolve(1)).latest();
  await clock.advance(EVERY_MS);
  const gate = new Gate();
  const counts = processOf('counts', async () => {
    await gate.pass();
    return 2;
  }).latest();
  await gate.reached;
  expect(await processOf('reads').latest()).toMatchObject({ deadLetters: 1, ageMs: EVERY_MS });
  gate.open();
  expect(await counts).toMatchObject({ deadLetters: 2, ageMs: 0 });
  expect(counted).toEqual(['before', 'counts']);
});

it('are none before the first process has counted', async () => {
  const gate = new Gate();
  const counts = processOf('counts', async () => {
    await gate.pass();
    return 2;
  }).latest();
  await gate.reached;
  expect(await processOf('reads').latest()).toBeNull();
  gate.open();
  expect(await counts).not.toBeNull();
});

it('are made by another process an interval after one that died', async () => {
  void processOf('dies', () => new Promise(() => undefined)).latest();
  const next = processOf('next');
  await clock.advance(EVERY_MS - 1);
  expect(await next.latest()).toBeNull();
  await clock.advance(1);
  expect(await next.latest()).toMatchObject({ ageMs: 0 });
});

it('leave the turns to others in a process that cannot count', async () => {
  const unable = processOf('unable', () => Promise.reject(new Error('permission denied')));
  await expect(unable.latest()).rejects.toThrow('permission denied');
  const able = processOf('able');
  for (let interval = 0; interval < 2; interval += 1) {
    await clock.advance(EVERY_MS);
    await unable.latest();
    expect(await able.latest()).toMatchObject({ ageMs: 0 });
  }
  expect(counted).toEqual(['unable', 'able', 'able']);
  // It shows what the others counted, and no error.
  await clock.advance(2 * EVERY_MS);
  expect(await unable.latest()).toMatchObject({ ageMs: 2 * EVERY_MS });
  expect(counted.at(-1)).toBe('unable');
});

it('are not shown when they are old, since they would look like current ones', async () => {
  await processOf('counted').latest();
  await clock.advance(60_000);
  const unable = processOf('unable', () => Promise.reject(new Error('away')));
  await expect(unable.latest()).rejects.toThrow('away');
  expect(await unable.latest()).toBeNull();
});
