import { afterEach, describe, expect, it } from 'vitest';
import type { LoadedSaga, SagaStore } from '../../ports/index.js';
import { EngineBench, Program } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

/** A store whose journals a newer version has gone on with; counts what is asked of it. */
function newer(asked: string[]): (sagas: SagaStore) => SagaStore {
  const written = (saga: LoadedSaga): LoadedSaga => ({
    ...saga,
    entries: saga.entries.map((entry) => ({ ...entry, kind: 'of_a_newer_version' })),
  });
  return (sagas) =>
    new Proxy(sagas, {
      get(target, property) {
        const method: unknown = Reflect.get(target, property);
        if (typeof method !== 'function') return method;
        const bound: unknown = method.bind(target);
        if (property === 'mailOfOwned') {
          return (incarnation: string) => {
            asked.push('mailOfOwned');
            return target.mailOfOwned(incarnation);
          };
        }
        if (property === 'claim') {
          return async (...given: Parameters<SagaStore['claim']>) =>
            (await target.claim(...given)).map(written);
        }
        if (property === 'load') {
          return async (...given: Parameters<SagaStore['load']>) => {
            asked.push('load');
            return (await target.load(...given)).map(written);
          };
        }
        return bound;
      },
    });
}

describe('a saga whose journal cannot be read', () => {
  it('is reported once, is not asked for again and again, and goes on where it can be read', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    const handle = await bench.start(bench.idleEngine(), program);
    const asked: string[] = [];
    const reasons: string[] = [];
    const old = await bench.engine({
      store: newer(asked),
      observer: { needsAttention: ({ reason }) => reasons.push(reason) },
    });
    await bench.clock.advance(1_000);
    await bench.sagas.putMail([
      { sagaId: handle.id, kind: 'reply', dedupeKey: 'none', data: '{"key":"nobody"}' },
    ]);
    await bench.clock.advance(60_000);
    expect(reasons).toEqual(['journal_unreadable']);
    expect(bench.log.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(asked.filter((one) => one === 'load')).toEqual([]);
    expect(asked.length).toBeLessThan(100);
    await bench.clock.until(old.close());
    await bench.engine();
    await bench.clock.advance(30_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });
});
