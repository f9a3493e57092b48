import { afterEach, describe, expect, it } from 'vitest';
import { LockTimeoutError } from '../../errors/index.js';
import type { SagaStore, TransitionOutcome } from '../../ports/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

/** The store with methods of one's own, which are given the real one's. */
function withMethods(
  own: (real: SagaStore) => Partial<SagaStore>,
): (sagas: SagaStore) => SagaStore {
  return (sagas) => {
    const methods = own(sagas);
    return new Proxy(sagas, {
      get(target, name) {
        const method: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
        return typeof method === 'function' ? (method.bind(target) as unknown) : method;
      },
    });
  };
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => bench.clock.after(ms, resolve));

/** Counts how often something is under way at once. */
class Meter {
  calls = 0;
  now = 0;
  most = 0;

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.calls += 1;
    this.now += 1;
    this.most = Math.max(this.most, this.now);
    try {
      return await work();
    } finally {
      this.now -= 1;
    }
  }
}

/** Lets sagas wait at a gate, then meet whatever trouble was made for them meanwhile. */
async function atGate(
  count: number,
  store: (bad: Set<string>) => (real: SagaStore) => Partial<SagaStore>,
) {
  const gate = new Gate();
  const victim = new Program({ steps: { a: { run: () => gate.pass() }, b: { dependsOn: ['a'] } } });
  const other = new Program({ steps: { a: {}, b: { dependsOn: ['a'] } } });
  bench = new EngineBench([victim, other]);
  const bad = new Set<string>();
  const engine = await bench.engine({ store: withMethods(store(bad)) });
  for (let n = 0; n < count; n += 1) bad.add((await bench.start(engine, victim)).id);
  await bench.clock.advance(100);
  gate.open();
  await bench.clock.advance(100);
  return {
    engine,
    bad,
    /** How long another saga takes. */
    async other(): Promise<number> {
      const before = bench.clock.now();
      const handle = await bench.start(engine, other);
      await bench.clock.until(handle.result({ timeout: '1h' }));
      return bench.clock.now() - before;
    },
    async endOf(): Promise<void> {
      bad.clear();
      await bench.clock.advance(60_000);
      const left = await engine.find({ name: victim.definition.name, limit: 1_000 });
      expect(new Set(left.map(({ status }) => status))).toEqual(new Set(['completed']));
      expect(victim.calls.length).toBe(2 * count);
    },
  };
}

describe('A transition in trouble', () => {
  it('keeps no other waiting while its row is locked, and goes again with its like', async () => {
    const meter = new Meter();
    const trouble = await atGate(300, (bad) => (real) => ({
      flush: (transitions) => {
        if (!transitions.some(({ sagaId }) => bad.has(sagaId))) return real.flush(transitions);
        return meter.during(async () => {
          await pause(5);
          const fine = transitions.filter(({ sagaId }) => !bad.has(sagaId));
          const outcomes = await real.flush(fine);
          return transitions.map((one): TransitionOutcome => {
            const at = fine.indexOf(one);
            return at < 0 ? { kind: 'busy' } : (outcomes[at] ?? { kind: 'missing' });
          });
        });
      },
    }));
    expect(meter.now).toBeLessThanOrEqual(1);
    meter.calls = 0;
    meter.most = 0;
    expect(await trouble.other()).toBeLessThan(50);
    await bench.clock.advance(10_000);
    expect(meter.most).toBe(1);
    expect(meter.calls).toBeLessThan(100);
    await trouble.endOf();
  });

  it('keeps no other waiting while it is looked up, and is looked up a few at a time', async () => {
    const looks = new Meter();
    const trouble = await atGate(300, (bad) => (real) => ({
      flush: async (transitions) => {
        if (transitions.some(({ sagaId }) => bad.has(sagaId))) throw new Error('Connection lost');
        return real.flush(transitions);
      },
      settle: async (transition) =>
        looks.during(async () => {
          if (!bad.has(transition.sagaId)) return real.settle(transition);
          await pause(500);
          throw new LockTimeoutError('a saga', 500);
        }),
    }));
    for (let n = 0; n < 3; n += 1) {
      expect(await trouble.other()).toBeLessThan(50);
      await bench.clock.advance(20_000);
    }
    expect(trouble.engine.healthy).toBe(true);
    expect(looks.most).toBeLessThanOrEqual(4);
    await trouble.endOf();
  });

  it('is looked up although others before it stay locked', async () => {
    const locked = new Set<string>();
    const trouble = await atGate(20, (bad) => (real) => ({
      flush: async (transitions) => {
        if (transitions.some(({ sagaId }) => bad.has(sagaId))) throw new Error('Connection lost');
        return real.flush(transitions);
      },
      settle: async (transition) => {
        if (!locked.has(transition.sagaId)) {
          const outcome = await real.settle(transition);
          bad.delete(transition.sagaId);
          return outcome;
        }
        await pause(500);
        throw new LockTimeoutError('a saga', 500);
      },
    }));
    for (const id of [...trouble.bad].slice(0, 10)) locked.add(id);
    await bench.clock.advance(15_000);
    expect([...trouble.bad].every((id) => locked.has(id))).toBe(true);
    locked.clear();
    await trouble.endOf();
  });
});

describe('After it was closed, an engine asks its store for nothing', () => {
  const troubles: Record<string, (real: SagaStore, on: () => boolean) => Partial<SagaStore>> = {
    'was away': (real, on) => ({
      flush: (given) => (on() ? Promise.reject(new Error('away')) : real.flush(given)),
      settle: (given) => (on() ? Promise.reject(new Error('away')) : real.settle(given)),
      putMail: (given) => (on() ? Promise.reject(new Error('away')) : real.putMail(given)),
      lookForMail: (given) => (on() ? Promise.reject(new Error('away')) : real.lookForMail(given)),
    }),
    'held every row locked': (real, on) => ({
      flush: (given) =>
        on() ? Promise.resolve(given.map(() => ({ kind: 'busy' }) as const)) : real.flush(given),
    }),
    'lost the commit of a step, and locked its row': (real, on) => ({
      apply: (...given) => (on() ? Promise.reject(new Error('lost')) : real.apply(...given)),
      settle: (given) =>
        on() ? Promise.reject(new LockTimeoutError('a saga', 500)) : real.settle(given),
    }),
    'gave no answer': (real, on) => ({
      flush: (given) => (on() ? new Promise<never>(() => undefined) : real.flush(given)),
      settle: (given) => (on() ? new Promise<never>(() => undefined) : real.settle(given)),
      lookForMail: (given) =>
        on() ? new Promise<never>(() => undefined) : real.lookForMail(given),
    }),
  };
  for (const [trouble, methods] of Object.entries(troubles)) {
    it(`where that ${trouble}`, async () => {
      const gate = new Gate();
      const program = new Program({
        steps: {
          plain: { run: () => gate.pass() },
          booked: { transactional: true, run: () => gate.pass() },
        },
      });
      bench = new EngineBench([program]);
      let on = false;
      let asked = 0;
      const counted = (sagas: SagaStore): SagaStore =>
        new Proxy(sagas, {
          get(target, name) {
            const method: unknown = Reflect.get(target, name);
            if (typeof method !== 'function') return method;
            return (...given: unknown[]): unknown => {
              asked += 1;
              return Reflect.apply(method, target, given);
            };
          },
        });
      const engine = await bench.engine({
        settings: { shutdownMs: 5_000 },
        store: (sagas) => counted(withMethods((real) => methods(real, () => on))(sagas)),
      });
      await bench.start(engine, program);
      await bench.clock.advance(100);
      on = true;
      gate.open();
      await bench.clock.advance(1_000);
      const before = bench.clock.now();
      await bench.clock.until(engine.close());
      expect(bench.clock.now() - before).toBeLessThanOrEqual(5_000);
      await bench.clock.settle();
      asked = 0;
      await bench.clock.advance(3_600_000);
      expect(asked).toBe(0);
    });
  }
});
