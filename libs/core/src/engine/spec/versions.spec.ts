import { afterEach, describe, expect, it } from 'vitest';
import { command, defineCommand } from '../../messaging/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';

const Do = defineCommand<{ n: number }, string>()('party.do');

let bench: EngineBench;
afterEach(() => bench.close());

describe('mail of a kind that only a newer version knows', () => {
  const signal = (sagaId: string) => ({
    sagaId,
    kind: 'signal',
    dedupeKey: 'signal:approved',
    data: '{"name":"approved"}',
  });

  it('lies there while its saga runs, and its saga goes on', async () => {
    const gate = new Gate();
    const program = new Program({ steps: { a: { run: () => gate.pass() } } });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const { id } = await bench.start(engine, program);
    await bench.sagas.putMail([signal(id)]);
    await bench.clock.advance(60_000);
    expect(await bench.unreadMail(engine)).toMatchObject([{ kind: 'signal' }]);
    expect(await bench.journal(id)).toEqual(['saga_started', 'step_started a']);
    gate.open();
    await bench.clock.advance(1_000);
    expect((await bench.sagas.get(id))?.status).toBe('completed');
  });

  it('wakes no engine that does not know it, and one that does', async () => {
    const program = new Program({ steps: { a: { run: () => command(Do, { n: 1 }) } } });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const { id } = await bench.start(engine, program);
    await bench.clock.advance(1_000);
    const parked = await bench.sagas.get(id);
    expect(parked).toMatchObject({ status: 'waiting', owner: null });
    await bench.sagas.putMail([signal(id)]);
    bench.wakeUps.hint('saga');
    await bench.clock.advance(30_000);
    // Claimed again and again, it would be at a later epoch.
    expect(await bench.sagas.get(id)).toMatchObject({ epoch: parked?.epoch, owner: null });
    const { name, version } = program.definition;
    const request = {
      incarnation: engine.incarnation,
      definitions: [{ name, versions: [version] }],
      limit: 10,
      mailKinds: ['reply', 'signal'],
    };
    const { wakes } = await bench.sagas.lookForMail({ ...request, from: null });
    const [claimed] = await bench.sagas.claim({ ...request, mailed: wakes });
    expect(claimed?.mail).toMatchObject([{ kind: 'signal', data: '{"name":"approved"}' }]);
  });
});

describe('how long a saga took', () => {
  it('counts from its start to its end, across waits and processes', async () => {
    const told: number[] = [];
    const observer = {
      sagaEnded: ({ durationMs }: { durationMs: number }) => void told.push(durationMs),
    };
    let tries = 0;
    const retry = { attempts: 2, backoffMs: 3_600_000, maxDelayMs: 3_600_000 };
    const program = new Program({
      steps: {
        a: { retry, run: () => (tries++ === 0 ? Promise.reject(new Error('later')) : 'done') },
      },
    });
    bench = new EngineBench([program]);
    const first = await bench.engine({ observer });
    const { id } = await bench.start(first, program);
    await bench.clock.advance(60_000);
    bench.kill(first);
    await bench.engine({ observer });
    await bench.clock.advance(2 * 3_600_000);
    expect((await bench.sagas.get(id))?.status).toBe('completed');
    expect(told).toHaveLength(1);
    expect(told[0]).toBeGreaterThanOrEqual(3_600_000);
    expect(told[0]).toBeLessThan(3_602_000);
  });
});
