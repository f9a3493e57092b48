import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Program, refusing } from '../../testing/index.js';
import { factHandlers } from '../facts/index.js';

const MINUTES = 3;

let bench: EngineBench;
afterEach(() => bench.close());

/** An engine whose store can refuse, and how often its observer was told of that. */
async function onRefusing(program: Program) {
  bench = new EngineBench([program]);
  const store = refusing<SagaStore>(bench.sagas);
  let refusals = 0;
  const engine = await bench.engine({
    store: () => store.value,
    listener: factHandlers({
      store_failed: ({ failure }) => (refusals += failure === 'refused' ? 1 : 0),
    }),
  });
  return { engine, store, counted: () => refusals };
}

describe('an engine whose store refuses a statement', () => {
  it.each(['claim', 'lookForMail', 'owned', 'nextDueInMs', 'flush'] as const)(
    '%s: tries again seldom, says so once a minute and to probes, and goes on by itself',
    async (method) => {
      const program = new Program({ name: 'p', steps: { a: {}, b: { dependsOn: ['a'] } } });
      const { engine, store, counted } = await onRefusing(program);
      await bench.clock.advance(10_000);
      const before = bench.log.length;
      store.refuse(method);
      const handles = [];
      for (let at = 0; at < MINUTES * 60; at += 1) {
        if (at < 40) handles.push(await bench.start(engine, program));
        bench.wakeUps.hint('saga');
        await bench.clock.advance(1_000);
      }
      expect(store.refused()).toBeGreaterThan(3);
      expect(store.refused()).toBeLessThan(MINUTES * 60);
      expect(counted()).toBe(store.refused());
      const lines = bench.log.slice(before).filter(({ level }) => level !== 'info');
      expect(lines.length).toBeLessThanOrEqual(MINUTES + 1);
      expect(lines.map(({ message }) => message).join()).toContain('is refused');
      expect(engine.problem).toContain('permission denied');
      store.grant();
      await bench.clock.advance(30_000);
      expect(engine.problem).toBeNull();
      for (const handle of handles) {
        expect(await bench.clock.until(handle.outcome())).toMatchObject({ status: 'completed' });
      }
    },
  );

  it('start: answers the caller at once, counts it, says so to probes, and forgets it after a while', async () => {
    const program = new Program({ steps: { a: {} } });
    const { engine, store, counted } = await onRefusing(program);
    store.refuse('start');
    await expect(bench.start(engine, program)).rejects.toMatchObject({ code: '42501' });
    // Once, since a refusal stays one: no virtual time has passed, in which it could have been repeated.
    expect(store.refused()).toBe(1);
    expect(counted()).toBe(1);
    expect(engine.problem).toMatch(/^Starting sagas fails: permission denied/);
    // An unready process may be asked for nothing more, so it must not stay unready for want of a start.
    await bench.clock.advance(120_000);
    expect(engine.problem).toBeNull();

    await expect(bench.start(engine, program)).rejects.toMatchObject({ code: '42501' });
    expect(engine.problem).not.toBeNull();
    store.grant();
    const handle = await bench.start(engine, program);
    expect(engine.problem).toBeNull();
    expect(await bench.clock.until(handle.outcome())).toMatchObject({ status: 'completed' });
  });

  it.each(['statusesOf', 'history'] as const)(
    '%s: says so to probes while callers wait for a saga, and answers them by itself later',
    async (method) => {
      const program = new Program({ steps: { a: {} } });
      // It only waits: another engine runs the saga.
      const { engine: caller, store, counted } = await onRefusing(program);
      const engine = await bench.engine();
      const { id } = await bench.start(engine, program);
      store.refuse(method);
      const ends: unknown[] = [];
      const waiting = caller.handle(id).outcome({ timeout: '1h' });
      void waiting.then((end) => ends.push(end));
      await bench.clock.advance(60_000);
      expect(ends).toEqual([]);
      expect(counted()).toBeGreaterThan(3);
      expect(caller.problem).toMatch(/the ends of sagas fails: permission denied/);
      store.grant();
      await bench.clock.advance(10_000);
      expect(ends).toMatchObject([{ status: 'completed' }]);
      expect(caller.problem).toBeNull();
    },
  );
});
