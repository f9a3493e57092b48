import { afterEach, describe, expect, it } from 'vitest';
import type { UnservedSagas } from '../../ports/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const old = new Program({ name: 'place-order', version: 1, steps: { a: {} } });
const next = new Program({ name: 'place-order', version: 2, steps: { a: {} } });

describe('Sagas that no living engine runs', () => {
  it('are told to the observer at each look, and warned of once, until somebody runs them', async () => {
    bench = new EngineBench([old, next]);
    const looks: (readonly UnservedSagas[])[] = [];
    const front = bench.idleEngine({ sagas: [old] });
    const { id } = await front.start(old.definition, 1);
    const observer = {
      unservedSagas: ({ found }: { found: readonly UnservedSagas[] }) => void looks.push(found),
    };
    const engine = await bench.engine({ sagas: [next], observer });
    expect(engine.unserved).toEqual([]);
    await bench.clock.advance(100_000);
    expect(looks).toHaveLength(3);
    expect(engine.unserved).toMatchObject([
      { name: 'place-order', version: 1, count: 1, more: false, example: id },
    ]);
    const warnings = bench.log.filter(({ level }) => level === 'warn');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.message).toContain("Sagas of 'place-order', version 1, are due");

    await bench.engine({ sagas: [old] });
    await bench.clock.advance(60_000);
    expect((await bench.sagas.get(id))?.status).toBe('completed');
    expect(engine.unserved).toEqual([]);
    expect(looks.at(-1)).toEqual([]);
    expect(bench.log.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('are found where their engine died, and not while it lives', async () => {
    bench = new EngineBench([old, next]);
    const gate = new Gate();
    const slow = new Program({ name: 'slow', steps: { a: { run: () => gate.pass() } } });
    const first = await bench.engine({ sagas: [slow] });
    await bench.start(first, slow);
    const other = await bench.engine({ sagas: [next] });
    await bench.clock.advance(120_000);
    expect(other.unserved).toEqual([]);
    bench.kill(first);
    await bench.clock.advance(120_000);
    expect(other.unserved).toMatchObject([{ name: 'slow', version: 1, count: 1 }]);
  });
});
