import { afterEach, describe, expect, it } from 'vitest';
import { MemoryTransaction } from '../../memory/index.js';
import { command, defineCommand } from '../../messaging/index.js';
import type { SagaStore } from '../../ports/index.js';
import { EngineBench, Gate, Program, type Call } from '../../testing/index.js';
import type { SagaEngine } from '../index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const PERMITS = 2;
const settings = { maxTransactions: PERMITS };
const SECOND = 1_000;
const MINUTE = 60_000;

/** A saga of somebody else, with one transactional step that meets nothing. */
const neighbour = (): Program => new Program({ steps: { fine: { transactional: true } } });

/** Locks the rows of sagas as an open transaction does; the returned function ends it. */
function lockRows(ids: readonly string[]): () => void {
  const open = bench.transactions.begin();
  for (const id of ids) expect(open.tryLock(`saga:${id}`)).toBe(true);
  return () => open.rollback();
}

/** Starts one saga, and says whether it has completed after some time. */
async function completesWithin(ms: number, engine: SagaEngine, saga: Program): Promise<boolean> {
  const { id } = await bench.start(engine, saga);
  await bench.clock.advance(ms);
  return (await bench.sagas.get(id))?.status === 'completed';
}

/** The entries that count an attempt or a crash. */
const counted = async (id: string): Promise<string[]> =>
  (await bench.journal(id)).filter((line) => /failed|unknown|crashed/.test(line));

/** Notes what is committed with a step. */
function noteCommit(commits: string[], { context, manager }: Call): void {
  if (!(manager instanceof MemoryTransaction)) throw new Error('There is no transaction.');
  manager.stage(() => commits.push(context.sagaId));
}

describe('Sagas whose rows are locked for long', () => {
  it('give up the permits of their transactional steps within a minute, without a counted attempt, and commit them once later', async () => {
    const gate = new Gate();
    const commits: string[] = [];
    const locked = new Program({
      steps: {
        writes: {
          transactional: true,
          run: async (call) => {
            noteCommit(commits, call);
            await gate.pass();
          },
        },
      },
    });
    const other = neighbour();
    bench = new EngineBench([locked, other]);
    const engine = await bench.engine({ settings });
    const ids: string[] = [];
    for (let n = 0; n < PERMITS; n += 1) ids.push((await bench.start(engine, locked)).id);
    await bench.clock.advance(100);
    const unlock = lockRows(ids);
    gate.open();
    await bench.clock.advance(2 * SECOND);
    expect(await completesWithin(65 * SECOND, engine, other)).toBe(true);
    expect(bench.log.filter(({ message }) => message.includes('is put off'))).toHaveLength(PERMITS);
    // From here on they keep none, since their starts are not journaled either.
    await bench.clock.advance(10 * MINUTE);
    expect(await completesWithin(SECOND, engine, other)).toBe(true);
    unlock();
    await bench.clock.advance(MINUTE + 5 * SECOND);
    for (const id of ids) {
      expect((await bench.sagas.get(id))?.status).toBe('completed');
      expect(await counted(id)).toEqual([]);
    }
    expect(commits.toSorted()).toEqual(ids.toSorted());
  });

  it('keep no permit for a start that cannot be journaled', async () => {
    const gate = new Gate();
    const locked = new Program({
      steps: { a: { run: () => gate.pass() }, b: { dependsOn: ['a'], transactional: true } },
    });
    const other = neighbour();
    bench = new EngineBench([locked, other]);
    const engine = await bench.engine({ settings });
    const ids: string[] = [];
    for (let n = 0; n < PERMITS; n += 1) ids.push((await bench.start(engine, locked)).id);
    await bench.clock.advance(100);
    const unlock = lockRows(ids);
    gate.open();
    await bench.clock.advance(100);
    for (let n = 0; n < 5; n += 1) {
      expect(await completesWithin(2 * SECOND, engine, other)).toBe(true);
    }
    unlock();
    await bench.clock.advance(MINUTE + 5 * SECOND);
    for (const id of ids) expect((await bench.sagas.get(id))?.status).toBe('completed');
    expect(locked.calls.filter((call) => call === 'step b')).toHaveLength(PERMITS);
  });

  it('give up the permits of steps that wait for the turn of the saga, too', async () => {
    const early = new Gate();
    const late = new Gate();
    const locked = new Program({
      steps: {
        plain: { run: () => early.pass() },
        writes: { transactional: true, run: () => late.pass() },
      },
    });
    const other = neighbour();
    bench = new EngineBench([locked, other]);
    const engine = await bench.engine({ settings });
    const ids: string[] = [];
    for (let n = 0; n < PERMITS; n += 1) ids.push((await bench.start(engine, locked)).id);
    await bench.clock.advance(100);
    const unlock = lockRows(ids);
    // The transition with the result of `plain` holds the turn and meets the lock.
    early.open();
    await bench.clock.advance(100);
    late.open();
    expect(await completesWithin(75 * SECOND, engine, other)).toBe(true);
    unlock();
    await bench.clock.advance(MINUTE + 5 * SECOND);
    for (const id of ids) {
      expect((await bench.sagas.get(id))?.status).toBe('completed');
      expect(await counted(id)).toEqual([]);
    }
  });
});

describe('A transactional step whose command names a key that another transaction has locked', () => {
  const Ship = defineCommand<{ sku: string }>()('shipping.ship');
  let locked = true;

  /** The store whose transactions do not get the key while `locked`. */
  const withLockedKey = (sagas: SagaStore): SagaStore =>
    new Proxy(sagas, {
      get(target, property) {
        const method: unknown = Reflect.get(target, property);
        if (typeof method !== 'function') return method;
        if (property !== 'apply') return method.bind(target) as unknown;
        const apply: SagaStore['apply'] = (transition, transaction) =>
          locked && transition.messages.some(({ key }) => key === 'customer-7')
            ? Promise.resolve({ kind: 'key_busy' })
            : target.apply(transition, transaction);
        return apply;
      },
    });

  const shipping = (): Program =>
    new Program({
      steps: {
        first: { undo: true },
        ship: {
          dependsOn: ['first'],
          transactional: true,
          retry: { attempts: 2, backoffMs: 100 },
          run: () => command(Ship, { sku: 'x' }, { key: 'customer-7' }),
        },
      },
    });

  it('is not charged for a lock of some seconds', async () => {
    locked = true;
    const saga = shipping();
    bench = new EngineBench([saga]);
    const engine = await bench.engine({ settings, store: withLockedKey });
    const { id } = await bench.start(engine, saga);
    await bench.clock.advance(10 * SECOND);
    locked = false;
    await bench.clock.advance(6 * SECOND);
    expect(bench.sent.map(({ key }) => key)).toEqual(['customer-7']);
    expect(await counted(id)).toEqual([]);
  });

  it('fails by its attempts when the key stays locked, and keeps no permit from others', async () => {
    locked = true;
    const saga = shipping();
    const other = neighbour();
    bench = new EngineBench([saga, other]);
    const engine = await bench.engine({ settings, store: withLockedKey });
    const ids: string[] = [];
    for (let n = 0; n < PERMITS; n += 1) ids.push((await bench.start(engine, saga)).id);
    await bench.clock.advance(3 * MINUTE);
    expect(await completesWithin(SECOND, engine, other)).toBe(true);
    for (const id of ids) {
      expect((await bench.sagas.get(id))?.status).toBe('compensated');
      expect(await counted(id)).toEqual(['step_attempt_failed ship', 'step_failed ship']);
    }
    expect(bench.sent).toEqual([]);
  });
});
