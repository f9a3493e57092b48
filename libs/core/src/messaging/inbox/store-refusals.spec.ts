import { beforeEach, describe, expect, it } from 'vitest';
import type { StoreFailure } from '../../errors/index.js';
import { Gate, VirtualClock } from '../../testing/index.js';
import { jsonCodec } from '../codec/index.js';
import type { InboxHandler, InboxOutcome } from './inbox.types.js';
import { StoreRefusals } from './store-refusals.js';

const missing = Object.assign(new Error('permission denied for table inbox'), { code: '42501' });
const REFUSED: InboxOutcome = {
  kind: 'retry',
  delayMs: 5,
  counted: false,
  error: missing,
  refused: true,
};
const DONE: InboxOutcome = { kind: 'committed' };

function handler(type: string): InboxHandler {
  return {
    group: 'billing',
    type,
    retry: { attempts: 1, backoffMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 },
    codec: jsonCodec,
  };
}
const placed = handler('shop.placed');

describe('a handler whose store refuses the inbox', () => {
  let clock: VirtualClock;
  let lines: string[];
  let failures: StoreFailure[];
  let refusals: StoreRefusals;
  let tries: number;
  beforeEach(() => {
    clock = new VirtualClock();
    lines = [];
    failures = [];
    tries = 0;
    const say = (line: string): void => void lines.push(line);
    refusals = new StoreRefusals({
      clock,
      logger: { debug: say, info: say, warn: say, error: say },
      random: () => 1,
      onFailure: (failure) => failures.push(failure),
    });
  });

  const receive = (
    outcome: InboxOutcome | Promise<InboxOutcome>,
    of = placed,
  ): Promise<InboxOutcome> =>
    refusals.run(
      of,
      async () => {
        tries += 1;
        return outcome;
      },
      (error) => ({ kind: 'retry', delayMs: 5, counted: false, error, refused: true }),
    );

  it('has one message tried after each pause, for all that come, and says so once a minute', async () => {
    for (let ms = 0; ms < 180_000; ms += 100) {
      const outcome = await receive(REFUSED);
      expect(outcome).toMatchObject({ kind: 'retry', counted: false, error: missing });
      await clock.advance(100);
    }
    // Pauses of 1, 2, 4, 8 s and then 10 s.
    expect(tries).toBeLessThan(25);
    expect(tries).toBeGreaterThan(15);
    expect(failures).toEqual(Array.from({ length: tries }, () => 'refused'));
    expect(lines).toHaveLength(3);
    expect(refusals.problem).toBe(
      "Handling 'shop.placed' in the group 'billing' fails: permission denied for table inbox",
    );
  });

  it('has no retry before the pause is over', async () => {
    expect(await receive(REFUSED)).toMatchObject({ delayMs: 2_000 });
    await clock.advance(400);
    expect(await receive(REFUSED)).toMatchObject({ delayMs: 1_200 });
    expect(tries).toBe(1);
  });

  it('holds up no other handler, and works again with the first success', async () => {
    await receive(REFUSED);
    expect(await receive(DONE, handler('shop.cancelled'))).toBe(DONE);
    expect(refusals.problem).not.toBeNull();
    await clock.advance(1_000);
    expect(await receive(DONE)).toBe(DONE);
    expect(refusals.problem).toBeNull();
    await Promise.all([receive(DONE), receive(DONE)]);
    expect(tries).toBe(5);
  });

  it('makes no longer pause because several messages were refused at the same time', async () => {
    await Promise.all(Array.from({ length: 50 }, () => receive(REFUSED)));
    expect(failures).toHaveLength(1);
    await clock.advance(1_000);
    expect(await receive(DONE)).toBe(DONE);
  });

  it('has another message tried beside one that does not end', async () => {
    await receive(REFUSED);
    await clock.advance(1_000);
    const hangs = new Gate();
    const hanging = receive(hangs.opened.then(() => DONE));
    await receive(REFUSED);
    expect(tries).toBe(2);
    await clock.advance(30_000);
    await receive(REFUSED);
    expect(tries).toBe(3);
    hangs.open();
    await hanging;
  });

  it('is forgotten where its messages went elsewhere', async () => {
    await receive(REFUSED);
    await clock.advance(119_000);
    expect(refusals.problem).not.toBeNull();
    await clock.advance(1_000);
    expect(refusals.problem).toBeNull();
  });
});
