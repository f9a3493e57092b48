import { describe, expect, it } from 'vitest';
import type { SlotQueueStore, WakeListener } from '../../ports/index.js';
import { ConsumerBench, outboxMessage } from '../../testing/index.js';
import { placeOfKey } from '../index.js';
import { hintSlots, slotsOfHint, SlotsToLookAt } from './slot-hints.js';

const slotOf = (key: string): number => {
  const { tenant, topic } = outboxMessage(key, 1);
  return placeOfKey(tenant, topic, key).slot;
};

function hintOf(keys: number): readonly (string | undefined)[] {
  const hints: (string | undefined)[] = [];
  const messages = Array.from({ length: keys }, (_, n) => outboxMessage(`k${n}`, 1));
  hintSlots({ hint: (_channel, detail) => void hints.push(detail) }, 'outbox', messages);
  return hints;
}

describe('a hint', () => {
  it('names the slots of what was committed', () => {
    const [detail] = hintOf(3);
    expect(slotsOfHint(detail)).toEqual([slotOf('k0'), slotOf('k1'), slotOf('k2')]);
  });

  it('names none where they are many, and is not given where nothing was committed', () => {
    expect(hintOf(200)).toEqual([undefined]);
    expect(hintOf(0)).toEqual([]);
  });

  it('of somebody else, in words of its own, may be about any slot', () => {
    for (const detail of [undefined, '', 'saga 1', '1,x', '-1', '256', '1.5', '1,,2']) {
      expect(slotsOfHint(detail)).toBeNull();
    }
    expect(slotsOfHint('0,255')).toEqual([0, 255]);
  });
});

describe('the slots to look at', () => {
  it('are those that were named since the last look, and all where nobody named any', () => {
    const slots = new SlotsToLookAt();
    expect(slots.take(0)).toBeNull();
    slots.add([1, 2]);
    slots.add([2, 3]);
    expect(slots.take(1)).toEqual(new Set([1, 2, 3]));
    expect(slots.take(2)).toBeNull();
  });

  it('are all when one hint named none, or they are many', () => {
    const slots = new SlotsToLookAt();
    slots.take(0);
    slots.add([1]);
    slots.add(null);
    slots.add([2]);
    expect(slots.take(1)).toBeNull();
    slots.add(Array.from({ length: 33 }, (_, slot) => slot));
    expect(slots.take(2)).toBeNull();
  });

  it('are all ten times a second, however many hints name some', () => {
    const slots = new SlotsToLookAt();
    slots.take(0);
    slots.add([1]);
    expect(slots.take(99)).toEqual(new Set([1]));
    slots.add([1]);
    expect(slots.take(100)).toBeNull();
    slots.add([1]);
    expect(slots.take(101)).toEqual(new Set([1]));
  });
});

describe('a consumer that is woken by hints', () => {
  /** Its store, with the slots that each read asks about. */
  function reading(bench: ConsumerBench): { store: SlotQueueStore; asked: number[][] } {
    const asked: number[][] = [];
    const store = new Proxy<SlotQueueStore>(bench.outbox, {
      get: (target, name) => {
        if (name === 'read') {
          const read: SlotQueueStore['read'] = (request) => {
            asked.push(request.windows.map(({ slot }) => slot));
            return target.read(request);
          };
          return read;
        }
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    return { store, asked };
  }

  /** Until a look at everything has just ended. */
  async function untilPolled(bench: ConsumerBench, asked: readonly number[][]): Promise<void> {
    const before = asked.length;
    while (asked.length === before) await bench.clock.advance(1);
  }

  it('asks about the slots that they name', async () => {
    const bench = new ConsumerBench();
    const { store, asked } = reading(bench);
    await bench.consumer({ store }).start();
    await bench.clock.advance(5_000);
    await untilPolled(bench, asked);
    asked.length = 0;
    await bench.write(outboxMessage('a', 1));
    await bench.clock.settle();
    expect(bench.handled).toEqual(['a:1']);
    expect(asked[0]).toEqual([slotOf('a')]);
  });

  it('asks about nothing where they name what others hold', async () => {
    const bench = new ConsumerBench();
    const first = reading(bench);
    const second = reading(bench);
    await bench.consumer(first).start();
    await bench.consumer(second).start();
    await bench.clock.advance(30_000);
    const held = (asked: readonly number[][]): Set<number> => new Set(asked.flat());
    first.asked.length = 0;
    await untilPolled(bench, first.asked);
    const mine = held(first.asked);
    const key = Array.from({ length: 100 }, (_, n) => `k${n}`).find((k) => !mine.has(slotOf(k)));
    if (key === undefined) throw new Error('the first holds everything');
    first.asked.length = 0;
    await bench.write(outboxMessage(key, 1));
    await bench.clock.settle();
    expect(bench.handled).toEqual([`${key}:1`]);
    expect(first.asked).toEqual([]);
  });

  it('finds what no hint told of while they keep coming', async () => {
    const bench = new ConsumerBench();
    await bench.consumer().start();
    await bench.clock.advance(5_000);
    bench.wakeUps.listening = false;
    await bench.write(outboxMessage('lost', 1));
    bench.wakeUps.listening = true;
    for (let n = 0; n < 11; n += 1) {
      await bench.write(outboxMessage('a', n));
      await bench.clock.advance(10);
    }
    expect(bench.handled).toContain('lost:1');
  });

  it('says which of them nobody else has to see to', async () => {
    const bench = new ConsumerBench();
    const listeners: WakeListener[] = [];
    bench.wakeUps.on = (_channel, listener) => {
      listeners.push(listener);
      return () => undefined;
    };
    const answers = (slots: string | undefined): unknown[] => listeners.map((hear) => hear(slots));
    const all = Array.from({ length: 256 }, (_, slot) => String(slot));
    await bench.consumer().start();
    expect(answers('7')).toEqual([false]);
    await bench.clock.advance(1_000);
    expect(answers('7')).toEqual([true]);
    expect(answers(all.join(','))).toEqual([true]);
    expect(answers(undefined)).toEqual([false]);
    await bench.consumer().start();
    await bench.clock.advance(30_000);
    // Each slot has one owner; one that names slots of both is everybody's.
    for (const slot of all) expect(answers(slot).sort()).toEqual([false, true]);
    expect(answers(all.join(','))).toEqual([false, false]);
  });
});
