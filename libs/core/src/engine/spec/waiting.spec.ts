import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';
import { SagaNotFoundError, SagaWaitEndedError, TooManySagaWaitsError } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

/** Counts the calls of a store by their method. */
function counted(calls: Map<string, number>): (sagas: SagaStore) => SagaStore {
  return (sagas) =>
    new Proxy(sagas, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function') return method;
        return (...given: unknown[]): unknown => {
          calls.set(String(name), (calls.get(String(name)) ?? 0) + 1);
          return Reflect.apply(method, target, given);
        };
      },
    });
}

/** A pooler in between: no hint reaches anybody. */
function withoutHints(one: EngineBench): void {
  one.wakeUps.hint = () => undefined;
}

describe('Waiting for the ends of sagas', () => {
  it('is not put off by others who begin to wait all the time', async () => {
    const program = new Program({ steps: { a: {} } });
    const open = new Gate();
    const slow = new Program({ steps: { s: { run: () => open.pass() } } });
    bench = new EngineBench([program, slow]);
    withoutHints(bench);
    await bench.engine();
    const front = bench.idleEngine();
    const handle = await front.start(program.definition, 1);
    let answeredAt = -1;
    void handle.outcome().then(() => (answeredAt = bench.clock.now()));
    for (let round = 0; round < 200 && answeredAt < 0; round += 1) {
      const other = await front.start(slow.definition, 1);
      void other.outcome({ timeout: '5m' }).catch(() => undefined);
      await bench.clock.advance(10);
    }
    // The worker polls once a second; what it does then is seen at the latest a second after.
    expect(answeredAt).toBeGreaterThanOrEqual(0);
    open.open();
  });

  it('asks the store for many sagas at once, and not more often for many than for one', async () => {
    const open = new Gate();
    const slow = new Program({ steps: { s: { run: () => open.pass() } } });
    bench = new EngineBench([slow]);
    withoutHints(bench);
    await bench.engine();
    const calls = new Map<string, number>();
    const front = bench.idleEngine({ store: counted(calls) });
    const waits: Promise<unknown>[] = [];
    for (let at = 0; at < 1_200; at += 1) {
      const handle = await front.start(slow.definition, at);
      waits.push(handle.outcome({ timeout: '1h' }));
    }
    await bench.clock.advance(5_000);
    calls.clear();
    await bench.clock.advance(10_000);
    // Ten rounds of three batches.
    expect(calls.get('statusesOf')).toBeLessThanOrEqual(33);
    expect(calls.get('history')).toBeUndefined();
    open.open();
    await bench.clock.until(Promise.all(waits));
  });

  it('asks once for hints that come together', async () => {
    const open = new Gate();
    const slow = new Program({ steps: { s: { run: () => open.pass() } } });
    bench = new EngineBench([slow]);
    await bench.engine();
    const calls = new Map<string, number>();
    const front = bench.idleEngine({ store: counted(calls) });
    const waits: Promise<unknown>[] = [];
    for (let at = 0; at < 100; at += 1) {
      waits.push((await front.start(slow.definition, at)).outcome({ timeout: '1h' }));
    }
    await bench.clock.advance(10_000);
    calls.clear();
    open.open();
    await bench.clock.settle();
    await Promise.all(waits);
    expect(calls.get('statusesOf')).toBeLessThan(20);
  });

  it('ends at once when the engine closes, with an error that says that the saga goes on', async () => {
    const open = new Gate();
    const slow = new Program({ steps: { s: { run: () => open.pass() } } });
    bench = new EngineBench([slow]);
    const other = await bench.engine();
    const front = await bench.engine({ sagas: [] });
    const { id } = await bench.start(other, slow);
    const outcome = front
      .handle(id)
      .outcome({ timeout: '1h' })
      .catch((error: unknown) => error);
    const result = front
      .handle(id)
      .result({ timeout: '1h' })
      .catch((error: unknown) => error);
    await bench.clock.advance(1_000);
    const before = bench.clock.now();
    await bench.clock.until(front.close());
    expect(bench.clock.now()).toBe(before);
    expect(await outcome).toBeInstanceOf(SagaWaitEndedError);
    expect(await result).toMatchObject({ sagaId: id, code: 'SAGAZ_SAGA_WAIT_ENDED' });
    await expect(front.handle(id).outcome()).rejects.toThrow(SagaWaitEndedError);
    open.open();
    const end = await bench.clock.until(other.handle(id).outcome());
    expect(end.status).toBe('completed');
  });

  it('is refused beyond the limit, and possible again once somebody has stopped', async () => {
    const open = new Gate();
    const slow = new Program({ steps: { s: { run: () => open.pass() } } });
    bench = new EngineBench([slow]);
    const engine = await bench.engine({ settings: { maxWaits: 2 } });
    const { id } = await bench.start(engine, slow);
    const first = engine.handle(id).outcome({ timeout: 1_000 });
    const second = engine.handle(id).outcome({ timeout: '1h' });
    const refused = bench.clock.until(engine.handle(id).outcome(), 100);
    await expect(refused).rejects.toThrow(TooManySagaWaitsError);
    first.catch(() => undefined);
    await bench.clock.advance(2_000);
    const third = engine.handle(id).outcome();
    open.open();
    await bench.clock.until(Promise.all([second, third]));
  });

  it('tells at once of a saga that does not exist, and of one that has ended long ago', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const { id } = await bench.start(engine, program);
    await bench.clock.advance(60_000);
    const front = bench.idleEngine();
    const before = bench.clock.now();
    expect((await bench.clock.until(front.handle(id).outcome())).status).toBe('completed');
    const unknown = bench.clock.until(front.handle('none').outcome());
    await expect(unknown).rejects.toThrow(SagaNotFoundError);
    expect(bench.clock.now()).toBe(before);
  });
});
