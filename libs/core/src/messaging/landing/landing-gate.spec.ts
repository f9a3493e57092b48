import { describe, expect, it } from 'vitest';
import type { Delivery, Message } from '../../ports/index.js';
import { freshName, VirtualClock } from '../../testing/index.js';
import { HeldKeyError, type HandledDelivery } from '../inbox/index.js';
import { LandingGate, type LandingBounds } from './index.js';

const BOUNDS: LandingBounds = {
  softMessages: 100,
  softBytes: 1_000_000,
  maxMessages: 1_000,
  maxBytes: 10_000_000,
};
const CROWDED = { messages: 100, bytes: 0 };
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const DONE: HandledDelivery = { kind: 'done' };
const RETRY: HandledDelivery = { kind: 'retry', delayMs: 1, counted: true, error: new Error('no') };

function bench({ keepsRetries = false, bounds = BOUNDS } = {}) {
  const clock = new VirtualClock();
  const gate = new LandingGate({ group: 'billing', clock, logger: quiet, keepsRetries, bounds });
  /** The deliveries whose handlers were called, and whether a failure would have counted. */
  const handled: { readonly id: string; readonly counts: boolean }[] = [];
  const world = { works: false };
  const handle = (delivery: Delivery): Promise<HandledDelivery> => {
    handled.push({ id: delivery.message.id, counts: delivery.trial?.counts ?? true });
    delivery.trial?.ended(world.works ? 'worked' : 'failed');
    return Promise.resolve(world.works ? DONE : RETRY);
  };
  const pass = (more: Partial<Delivery> = {}, by = handle): Promise<HandledDelivery> =>
    gate.pass(delivery(more), by);
  return { clock, gate, handled, world, pass };
}

function freshEvent(): Message {
  return {
    id: freshName('event'),
    tenant: '',
    topic: 'order',
    key: freshName('key'),
    type: 'order.placed',
    source: 'shop',
    time: '2026-11-21T10:00:00.000Z',
    contentType: 'application/json',
    payload: new Uint8Array(),
    headers: {},
  };
}

function delivery(more: Partial<Delivery> = {}): Delivery {
  const { signal } = new AbortController();
  return { message: freshEvent(), group: 'billing', attempt: 1, signal, ...more };
}

/** A delivery of the landing queue. */
function landed(): Partial<Delivery> {
  const lease = { slot: 1, epoch: 1, version: 0, crashes: 0, suspect: null };
  const key = { tenant: '', group: 'billing', source: 'shop', id: '1' };
  return { landed: { key, incarnation: 'a', lease, seq: '1' } };
}

/** A gate whose breaker has opened. */
async function opened(more: Parameters<typeof bench>[0] = {}) {
  const made = bench(more);
  made.gate.measured(CROWDED);
  for (let i = 0; i < 10; i += 1) await made.pass();
  expect(made.gate.state.open).toBe(true);
  made.handled.length = 0;
  return made;
}

describe('the breaker of a landing queue', () => {
  it('stays closed while little has landed, whatever fails', async () => {
    const { gate, pass } = bench();
    gate.measured({ messages: 99, bytes: 999_999 });
    for (let i = 0; i < 50; i += 1) await pass();
    expect(gate.state.open).toBe(false);
    expect(gate.problem).toBeNull();
  });

  it.each([
    ['messages', CROWDED],
    ['bytes', { messages: 1, bytes: 1_000_000 }],
  ])('opens where many %s have landed and nine keys in ten fail', async (_, size) => {
    const { gate, pass, world } = bench();
    gate.measured(size);
    world.works = true;
    await pass();
    world.works = false;
    for (let i = 0; i < 8; i += 1) await pass();
    expect(gate.state.open, 'nine keys say nothing').toBe(false);
    await pass();
    expect(gate.state.open).toBe(true);
    expect(gate.problem).toMatch(
      /breaker of group billing is open[\s\S]*wait in its landing queue/,
    );
  });

  it('stays closed where more than one key in ten succeeds: those must not wait', async () => {
    const { gate, pass, world } = bench();
    gate.measured(CROWDED);
    for (let i = 0; i < 100; i += 1) {
      world.works = i % 9 === 0;
      await pass();
    }
    expect(gate.state.open).toBe(false);
  });

  it('takes only the first trial of each key in ten seconds', async () => {
    const { gate, pass, clock } = bench();
    gate.measured(CROWDED);
    const message = freshEvent();
    for (let i = 0; i < 100; i += 1) await pass({ message });
    for (let i = 0; i < 8; i += 1) await pass();
    expect(gate.state.open).toBe(false);
    await clock.advance(10_000);
    for (let i = 0; i < 9; i += 1) await pass();
    expect(gate.state.open, 'what is older is forgotten').toBe(false);
    await pass();
    expect(gate.state.open).toBe(true);
  });

  it('lets one message at a time be tried, after 1 s and twice as long each time, up to 30 s', async () => {
    const { clock, handled, pass } = await opened();
    const waiting = Array.from({ length: 8 }, () => pass(landed()));
    const seconds: number[] = [];
    const began = clock.now();
    for (let i = 0; i < 400; i += 1) {
      await clock.advance(500);
      while (seconds.length < handled.length) seconds.push((clock.now() - began) / 1_000);
    }
    expect(seconds).toEqual([1, 3, 7, 15, 31, 61, 91, 121]);
    expect(
      handled.every(({ counts }) => !counts),
      'no attempt is used up',
    ).toBe(true);
    await Promise.all(waiting);
  });

  it('does not begin a trial while another one runs', async () => {
    const { clock, handled, pass, gate } = await opened();
    let end: (handled: HandledDelivery) => void = () => undefined;
    const hangs = pass(landed(), () => new Promise((resolve) => (end = resolve)));
    const next = pass(landed());
    await clock.advance(120_000);
    expect(handled).toEqual([]);
    end(RETRY);
    await hangs;
    await clock.advance(2_000);
    expect(handled).toHaveLength(1);
    await next;
    gate.close();
  });

  it('closes with the first success, and lets all go on', async () => {
    const { clock, gate, handled, world, pass } = await opened();
    const waiting = [pass(landed()), pass(), pass()];
    await clock.advance(1_000);
    expect(handled).toHaveLength(1);
    world.works = true;
    await clock.advance(2_000);
    await Promise.all(waiting);
    expect(gate.state.open).toBe(false);
    expect(handled.map(({ counts }) => counts)).toEqual([false, false, true]);
    expect(gate.problem).toBeNull();
  });

  it('also tries what the broker delivered, so that messages that never succeed cannot keep it open', async () => {
    const { clock, gate, pass } = await opened();
    const fails = (one: Delivery): Promise<HandledDelivery> => {
      one.trial?.ended('failed');
      return Promise.resolve(RETRY);
    };
    const works = (one: Delivery): Promise<HandledDelivery> => {
      one.trial?.ended('worked');
      return Promise.resolve(DONE);
    };
    void pass(landed(), fails);
    const delivered = pass({}, works);
    void pass(landed(), fails);
    await clock.advance(3_000);
    expect(await delivered).toEqual(DONE);
    expect(gate.state.open).toBe(false);
  });

  it('tries the next message at once after one that says nothing about the handlers', async () => {
    const { clock, handled, pass } = await opened();
    const held = { ...RETRY, counted: false, error: new HeldKeyError('order.placed', 'billing') };
    const silent = [
      pass({}, () => Promise.resolve(DONE)),
      pass({}, () => Promise.resolve(held)),
      pass(landed()),
    ];
    await clock.advance(1_000);
    await Promise.all(silent);
    expect(handled).toHaveLength(1);
  });

  it('closes where fewer messages wait, since an operator took them away', async () => {
    const { gate, pass } = await opened();
    const waiting = pass();
    gate.measured({ messages: 99, bytes: 0 });
    expect(gate.state.open).toBe(false);
    await waiting;
  });

  it('gives back what waits when it closes for good, or when the message is another process’s', async () => {
    const { gate, handled, pass } = await opened();
    const stop = new AbortController();
    const lost = pass({ signal: stop.signal });
    stop.abort(new Error('lost'));
    expect(await lost).toMatchObject({ kind: 'retry', counted: false });
    const waiting = [pass(), pass(landed())];
    gate.close();
    for (const one of [...waiting, pass()]) {
      expect(await one).toMatchObject({ kind: 'retry', counted: false });
    }
    expect(handled).toEqual([]);
  });

  it('does not exist for a broker that keeps its retries', async () => {
    const { gate, pass, handled } = bench({ keepsRetries: true });
    gate.measured({ messages: 999, bytes: 0 });
    for (let i = 0; i < 50; i += 1) await pass();
    expect(gate.state).toEqual({ open: false, full: false });
    expect(handled).toHaveLength(50);
  });
});

describe('a full landing queue', () => {
  it.each([
    ['messages', { messages: 1_000, bytes: 0 }, { messages: 900, bytes: 0 }],
    ['bytes', { messages: 1, bytes: 10_000_000 }, { messages: 1, bytes: 9_000_000 }],
  ])('takes nothing from the broker until there is room, by %s', async (_, full, almost) => {
    const { gate, handled, world, pass } = bench();
    world.works = true;
    gate.measured(full);
    expect(gate.mayLand).toBe(false);
    const waiting = pass();
    await pass(landed());
    expect(handled, 'what has landed is worked on').toHaveLength(1);
    gate.measured(almost);
    expect(gate.problem).toMatch(/landing queue of group billing is full[\s\S]*maxMessages/);
    gate.measured({ messages: 899, bytes: 8_999_999 });
    await waiting;
    expect(gate.mayLand).toBe(true);
    expect(gate.problem).toBeNull();
  });

  it('keeps the breaker from trying what the broker delivered: a failure would land', async () => {
    const { clock, gate, handled, pass } = await opened();
    gate.measured({ messages: 1_000, bytes: 0 });
    const waiting = pass();
    await clock.advance(60_000);
    expect(handled).toEqual([]);
    await pass(landed());
    expect(handled).toHaveLength(1);
    gate.close();
    await waiting;
  });

  it('leaves what would land with a broker that keeps its retries, and holds up nothing else', async () => {
    const { gate, handled, pass } = bench({ keepsRetries: true });
    gate.measured({ messages: 1_000, bytes: 0 });
    await pass();
    expect(handled).toHaveLength(1);
    expect(gate.mayLand).toBe(false);
    expect(gate.problem).toContain('stays with the broker');
  });

  it.each([
    [{ softMessages: 0 }, /softMessages[\s\S]*whole number from 1/],
    [{ maxBytes: 1.5 }, /maxBytes[\s\S]*1\.5/],
    [{ softMessages: 2_000_000 }, /softMessages[\s\S]*at most maxMessages, 1000000/],
    [{ maxBytes: 1_000 }, /softBytes[\s\S]*at most maxBytes, 1000/],
  ])('refuses bounds that make no sense: %j', (bounds, message) => {
    const clock = new VirtualClock();
    const options = { group: 'billing', clock, logger: quiet, keepsRetries: false, bounds };
    expect(() => new LandingGate(options)).toThrow(message);
  });
});
