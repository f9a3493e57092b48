import { afterEach, describe, expect, it } from 'vitest';
import type { SagaStore, UnservedSagas } from '../../ports/index.js';
import { EngineBench, Gate, Program, VirtualClock } from '../../testing/index.js';
import { UnservedSagasWatch } from '../unserved/index.js';

type Found = readonly UnservedSagas[] | null;

const old = new Program({ name: 'place-order', version: 1, steps: { a: {} } });
const next = new Program({ name: 'place-order', version: 2, steps: { a: {} } });
const one = {
  name: 'gone',
  version: 1,
  format: 1,
  count: 1,
  more: false,
  oldestMs: 40_000,
  example: 's',
};

/** A watch as a process without an engine has it. */
function watchOf(clock: VirtualClock, store: Pick<SagaStore, 'unserved'>) {
  const lines: { readonly level: 'info' | 'warn' | 'error'; readonly message: string }[] = [];
  const looks: Found[] = [];
  const watch = new UnservedSagasWatch({
    store,
    clock,
    logger: {
      debug: () => undefined,
      info: (message) => void lines.push({ level: 'info', message }),
      warn: (message) => void lines.push({ level: 'warn', message }),
      error: (message) => void lines.push({ level: 'error', message }),
    },
    observer: (found) => void looks.push(found),
  });
  watch.start();
  const warnings = (): string[] =>
    lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  return { watch, looks, lines, warnings };
}

describe('Sagas that no living engine runs', () => {
  let bench: EngineBench;
  afterEach(() => bench.close());

  it('are looked for and warned of by an engine of another version', async () => {
    bench = new EngineBench([old, next]);
    const front = bench.idleEngine({ sagas: [old] });
    const { id } = await front.start(old.definition, 1);
    const engine = await bench.engine({ sagas: [next] });
    await bench.clock.advance(100_000);
    expect(engine.unserved).toMatchObject([{ name: 'place-order', version: 1, example: id }]);
    const warnings = bench.log.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining("Sagas of 'place-order', version 1, are due"),
    ]);
    await engine.close();
    const before = bench.log.length;
    await bench.clock.advance(600_000);
    expect(bench.log.length).toBe(before);
  });

  it('are told to the observer at each look, and warned of once, until somebody runs them', async () => {
    bench = new EngineBench([old, next]);
    const { watch, looks, warnings } = watchOf(bench.clock, bench.sagas);
    const front = bench.idleEngine({ sagas: [old] });
    const { id } = await front.start(old.definition, 1);
    await bench.engine({ sagas: [next] });
    expect(watch.found).toEqual([]);
    await bench.clock.advance(100_000);
    expect(looks).toHaveLength(3);
    expect(watch.found).toMatchObject([
      { name: 'place-order', version: 1, count: 1, more: false, example: id },
    ]);
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toContain("Sagas of 'place-order', version 1, are due");

    await bench.engine({ sagas: [old] });
    await bench.clock.advance(60_000);
    expect((await bench.sagas.get(id))?.status).toBe('completed');
    expect(watch.found).toEqual([]);
    expect(looks.at(-1)).toEqual([]);
    expect(warnings()).toHaveLength(1);
    watch.stop();
    const before = looks.length;
    await bench.clock.advance(600_000);
    expect(looks).toHaveLength(before);
  });

  it.each([
    { what: 'another engine declares it dead', others: [next] },
    { what: 'it was the last one', others: [] },
  ])(
    'are found where their engine crashed and $what, and not while it lives',
    async ({ others }) => {
      bench = new EngineBench([old, next]);
      const gate = new Gate();
      const slow = new Program({ name: 'slow', steps: { a: { run: () => gate.pass() } } });
      const { watch } = watchOf(bench.clock, bench.sagas);
      const first = await bench.engine({ sagas: [slow] });
      await bench.start(first, slow);
      for (const sagas of others) await bench.engine({ sagas: [sagas] });
      await bench.clock.advance(120_000);
      expect(watch.found).toEqual([]);
      bench.kill(first);
      await bench.clock.advance(120_000);
      expect(watch.found).toMatchObject([{ name: 'slow', version: 1, count: 1 }]);
      watch.stop();
    },
  );
});

describe('A look for sagas that no engine runs', () => {
  it('does not count after one that failed, when engines may not have sent their heartbeats yet', async () => {
    const clock = new VirtualClock();
    const away = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    let answer: () => Promise<readonly UnservedSagas[]> = () => Promise.reject(away);
    const { watch, looks, lines } = watchOf(clock, { unserved: () => answer() });
    await clock.advance(600_000);
    expect(lines.length, 'the outage is logged, but not at each look').toBeLessThan(12);
    answer = () => Promise.resolve([one]);
    await clock.advance(30_000);
    expect(watch.found).toEqual([]);
    await clock.advance(30_000);
    expect(watch.found).toEqual([one]);
    expect(looks).toEqual([[one]]);
    watch.stop();
  });

  it('is left to others by a process whose role may not read sagas, and tried again seldom', async () => {
    const clock = new VirtualClock();
    let asked = 0;
    let allowed = false;
    const { watch, looks, lines } = watchOf(clock, {
      unserved: () => {
        asked += 1;
        if (allowed) return Promise.resolve([one]);
        const refusal = new Error('permission denied for table saga');
        return Promise.reject(Object.assign(refusal, { code: '42501' }));
      },
    });
    await clock.advance(3_600_000);
    expect(asked).toBeLessThanOrEqual(6);
    expect(lines).toEqual([
      {
        level: 'info',
        message:
          'Looking for sagas that no engine runs is refused to this process, so it leaves that to others.',
      },
    ]);
    expect(watch.refused).toBe(true);
    expect(new Set(looks)).toEqual(new Set([null]));
    allowed = true;
    await clock.advance(700_000);
    expect(watch.refused).toBe(false);
    expect(watch.found).toEqual([one]);
    watch.stop();
  });
});
