import { afterEach, describe, expect, it } from 'vitest';
import { command, defineCommand } from '../../messaging/index.js';
import type { LoadedSaga, RecordedEntry, SagaStore } from '../../ports/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';
import { replyTo } from './commands.fixture.js';
import { factHandlers } from '../facts/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

type Entries = readonly RecordedEntry[];

/** A store whose journals are read as `seen` makes them; notes what is asked of it. */
function readAs(seen: (entries: Entries) => Entries, asked: string[] = []) {
  const read = (saga: LoadedSaga): LoadedSaga => ({ ...saga, entries: seen(saga.entries) });
  return (sagas: SagaStore): SagaStore =>
    new Proxy(sagas, {
      get(target, property) {
        const method: unknown = Reflect.get(target, property);
        if (typeof method !== 'function') return method;
        const bound: unknown = method.bind(target);
        if (property === 'lookForMail') {
          return (...given: Parameters<SagaStore['lookForMail']>) => {
            asked.push('lookForMail');
            return target.lookForMail(...given);
          };
        }
        if (property === 'claim') {
          return async (...given: Parameters<SagaStore['claim']>) =>
            (await target.claim(...given)).map(read);
        }
        if (property === 'load') {
          return async (...given: Parameters<SagaStore['load']>) => {
            asked.push('load');
            return (await target.load(...given)).map(read);
          };
        }
        if (property === 'history') {
          return async (id: string) => seen(await target.history(id));
        }
        return bound;
      },
    });
}

const newer = (entries: Entries): Entries =>
  entries.map((entry) => ({ ...entry, kind: 'of_a_newer_version' }));

/** The first entry of a kind as the damage makes it; null: lost. */
function damaged(kind: string, damage: (entry: RecordedEntry) => RecordedEntry | null) {
  return (entries: Entries): Entries => {
    const at = entries.findIndex((entry) => entry.kind === kind);
    return entries.flatMap((entry, place) => (place === at ? (damage(entry) ?? []) : entry));
  };
}

describe('a saga whose journal cannot be read', () => {
  it('is parked and told once, is not asked for again and again, and goes on where it can be read', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    const handle = await bench.start(bench.idleEngine(), program);
    const asked: string[] = [];
    const reasons: string[] = [];
    const old = await bench.engine({
      store: readAs(newer, asked),
      listener: factHandlers({ saga_unreadable: ({ reason }) => reasons.push(reason) }),
    });
    await bench.clock.advance(1_000);
    await bench.sagas.putMail([
      { sagaId: handle.id, kind: 'reply', dedupeKey: 'none', data: '{"key":"nobody"}' },
    ]);
    await bench.clock.advance(60_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('needs_attention');
    expect(await bench.commits(handle.id)).toBe(2);
    expect(reasons).toEqual(['journal_unreadable']);
    expect(bench.log.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(asked.filter((one) => one === 'load')).toEqual([]);
    expect(asked.length).toBeLessThan(100);
    await bench.clock.until(old.close());
    await bench.engine();
    await bench.clock.advance(30_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });

  it.each([
    ['no JSON', damaged('step_completed', (entry) => ({ ...entry, data: '{"output":' }))],
    ['no object', damaged('step_completed', (entry) => ({ ...entry, data: '[1]' }))],
    ['no step', damaged('step_completed', (entry) => ({ ...entry, step: null }))],
    ['no owner', damaged('step_started', (entry) => ({ ...entry, data: '{}' }))],
    ['no known kind', damaged('step_completed', (entry) => ({ ...entry, kind: 'step_done' }))],
    ['no row', damaged('step_completed', () => null)],
    ['no beginning', (entries: Entries) => entries.filter(({ revision }) => revision > 0)],
    ['no end', (entries: Entries) => entries.filter(({ revision }) => revision !== 1)],
    ['nothing', (entries: Entries) => entries.filter(({ revision }) => revision > 1)],
  ])('(%s) needs attention until it was mended, and then goes on', async (_, damage) => {
    const gate = new Gate();
    const program = new Program({
      output: 'b',
      steps: { a: {}, b: { dependsOn: ['a'], run: () => gate.pass() } },
    });
    bench = new EngineBench([program]);
    const dying = await bench.engine();
    const handle = await bench.start(dying, program);
    await bench.clock.until(gate.reached);
    await bench.clock.advance(100);
    bench.kill(dying);
    gate.open();
    const before = await bench.sagas.history(handle.id);
    let seen = damage;
    const heir = await bench.engine({ store: readAs((entries) => seen(entries)) });
    await bench.clock.advance(40_000);
    expect(await bench.clock.until(heir.handle(handle.id).outcome())).toMatchObject({
      status: 'needs_attention',
      reason: 'journal_unreadable',
    });
    const waiting = { statuses: ['needs_attention'] as const };
    expect((await heir.find(waiting)).map(({ id }) => id)).toEqual([handle.id]);
    expect((await bench.sagas.history(handle.id)).slice(0, before.length)).toEqual(before);

    await heir.retry(handle.id);
    await bench.clock.advance(5_000);
    expect((await heir.find(waiting)).map(({ id }) => id)).toEqual([handle.id]);
    expect((await bench.journal(handle.id)).slice(before.length)).toEqual([
      'needs_attention',
      'mail_ignored',
    ]);

    seen = (entries) => entries;
    await heir.retry(handle.id);
    await bench.clock.advance(60_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
    expect(program.calls).toEqual(['step a', 'step b', 'step b']);
  });

  it('keeps the replies that come meanwhile', async () => {
    const Reserve = defineCommand<{ sku: string }, string>()('inventory.reserve');
    const program = new Program({
      output: 'a',
      steps: { a: { run: () => command(Reserve, { sku: 'x' }), replyTimeoutMs: 3_600_000 } },
    });
    bench = new EngineBench([program]);
    let seen = (entries: Entries): Entries => entries;
    const engine = await bench.engine({ store: readAs((entries) => seen(entries)) });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(1_000);
    seen = newer;
    await replyTo(bench, bench.sent[0], 'ok', 'shelf 7');
    await bench.clock.advance(120_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('needs_attention');
    seen = (entries) => entries;
    await engine.retry(handle.id);
    await bench.clock.advance(2_000);
    expect(await bench.clock.until(handle.result())).toBe('shelf 7');
  });

  it('can be ended by an operator', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    const handle = await bench.start(bench.idleEngine(), program);
    const engine = await bench.engine({ store: readAs(newer) });
    await bench.clock.advance(1_000);
    await engine.terminate(handle.id, 'beyond repair');
    await bench.clock.advance(2_000);
    expect(await bench.sagas.get(handle.id)).toMatchObject({ status: 'terminated', owner: null });
    const reader = bench.idleEngine().handle(handle.id);
    expect(await bench.clock.until(reader.outcome())).toEqual({
      status: 'terminated',
      reason: 'beyond repair',
    });
  });
});

describe('a saga whose next move cannot be decided', () => {
  it('blames the news that cannot be made sense of, and ends', async () => {
    const Reserve = defineCommand<{ sku: string }, string>()('inventory.reserve');
    // By hand, as defineCommand would refuse it: no instant is that far away.
    const broken = { ...Reserve, expiresInMs: Number.MAX_VALUE };
    const program = new Program({
      steps: {
        a: { undo: true },
        b: { dependsOn: ['a'], run: () => command(broken, { sku: 'x' }) },
      },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
    expect(program.calls).toEqual(['step a', 'step b', 'compensation a']);
  });

  it('is parked where nothing helps, and goes on after an operator has mended the cause', async () => {
    const program = new Program({ steps: { a: {}, b: { dependsOn: ['a'] } } });
    bench = new EngineBench([program]);
    const { steps } = program.definition;
    const engine = await bench.engine();
    const handle = await bench.start(bench.idleEngine(), program);
    // Every decision about this saga fails on its state, whatever the mail says.
    Reflect.set(steps, 'values', () => {
      throw new TypeError('a definition that is broken');
    });
    await bench.clock.advance(120_000);
    expect(await bench.sagas.get(handle.id)).toMatchObject({ status: 'needs_attention' });
    expect(await bench.commits(handle.id)).toBeLessThan(5);
    expect(bench.log.length).toBeLessThan(20);
    Reflect.deleteProperty(steps, 'values');
    await engine.retry(handle.id);
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });
});
