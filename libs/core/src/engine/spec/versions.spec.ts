import { afterEach, describe, expect, it } from 'vitest';
import { command, defineCommand } from '../../messaging/index.js';
import { newId } from '../../ids.js';
import { FORMAT } from '../../ports/index.js';
import { EngineBench, Gate, Program } from '../../testing/index.js';
import { factHandlers } from '../facts/index.js';

const Do = defineCommand<{ n: number }, string>()('party.do');

let bench: EngineBench;
afterEach(() => bench.close());

describe('mail that only a newer engine can read', () => {
  const signal = (sagaId: string) => ({
    sagaId,
    format: FORMAT + 1,
    kind: 'signal',
    dedupeKey: 'signal:approved',
    data: '{"name":"approved"}',
  });

  const claimOfNewer = (program: Program, incarnation: string) => ({
    incarnation,
    definitions: [{ name: program.definition.name, versions: [program.definition.version] }],
    format: FORMAT + 1,
    limit: 10,
  });

  it('has its saga given to one, once the running step has ended', async () => {
    const gate = new Gate();
    const ran: string[] = [];
    const program = new Program({
      steps: {
        a: { run: () => gate.pass() },
        b: { dependsOn: ['a'], run: () => void ran.push('b') },
      },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const { id } = await bench.start(engine, program);
    await gate.reached;
    await bench.sagas.putMail([signal(id)]);
    bench.wakeUps.hint('saga');
    await bench.clock.advance(10_000);
    expect(await bench.sagas.get(id)).toMatchObject({ owner: engine.incarnation, format: FORMAT });
    gate.open();
    await bench.clock.advance(60_000);
    // No engine here takes it again, and the step that follows has not begun.
    expect(await bench.sagas.get(id)).toMatchObject({ owner: null, format: FORMAT + 1 });
    expect(ran).toEqual([]);
    expect(await bench.journal(id)).toEqual(['saga_started', 'step_started a', 'step_completed a']);
    const [claimed] = await bench.sagas.claim(claimOfNewer(program, engine.incarnation));
    expect(claimed?.mail).toMatchObject([{ kind: 'signal' }]);
  });

  it('has its saga given to one when an engine takes the saga for another reason', async () => {
    const program = new Program({ steps: { a: { run: () => command(Do, { n: 1 }) } } });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const { id } = await bench.start(engine, program);
    await bench.clock.advance(1_000);
    expect(await bench.sagas.get(id)).toMatchObject({ status: 'waiting', owner: null });
    await bench.sagas.putMail([signal(id)]);
    // The wait for the reply is over, and the old engine decides nothing about that.
    await bench.clock.advance(120_000);
    expect(await bench.journal(id)).toEqual([
      'saga_started',
      'step_started a',
      'step_waiting a',
      'parked',
    ]);
    expect(await bench.sagas.get(id)).toMatchObject({ owner: null, format: FORMAT + 1 });
    const [claimed] = await bench.sagas.claim(claimOfNewer(program, engine.incarnation));
    expect(claimed?.mail).toMatchObject([{ kind: 'signal' }]);
  });

  it('has its saga given to one, also where the journal cannot be read here', async () => {
    const program = new Program({ steps: { a: { run: () => 'done' } } });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const { name, version } = program.definition;
    const id = newId();
    await bench.sagas.start([
      {
        id,
        tenant: '',
        name,
        version,
        format: FORMAT,
        key: null,
        inputDigest: '',
        status: 'pending',
        owner: null,
        wakeInMs: 0,
        deadlineInMs: null,
        transitionId: newId(),
        entries: [{ kind: 'strange', step: null, item: null, attempt: 0, data: null }],
        messages: [],
      },
    ]);
    await bench.clock.advance(10_000);
    expect(await bench.sagas.get(id)).toMatchObject({
      status: 'needs_attention',
      owner: engine.incarnation,
    });
    await bench.sagas.putMail([signal(id)]);
    bench.wakeUps.hint('saga');
    await bench.clock.advance(60_000);
    expect(await bench.sagas.get(id)).toMatchObject({ owner: null, format: FORMAT + 1 });
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
      format: FORMAT + 1,
    };
    const { wakes } = await bench.sagas.lookForMail({ ...request, from: null });
    const [claimed] = await bench.sagas.claim({ ...request, mailed: wakes });
    expect(claimed?.mail).toMatchObject([{ kind: 'signal', data: '{"name":"approved"}' }]);
  });
});

describe('how long a saga took', () => {
  it('counts from its start to its end, across waits and processes', async () => {
    const told: number[] = [];
    const listener = factHandlers({ saga_ended: ({ durationMs }) => told.push(durationMs) });
    let tries = 0;
    const retry = { attempts: 2, backoffMs: 3_600_000, maxDelayMs: 3_600_000 };
    const program = new Program({
      steps: {
        a: { retry, run: () => (tries++ === 0 ? Promise.reject(new Error('later')) : 'done') },
      },
    });
    bench = new EngineBench([program]);
    const first = await bench.engine({ listener });
    const { id } = await bench.start(first, program);
    await bench.clock.advance(60_000);
    bench.kill(first);
    await bench.engine({ listener });
    await bench.clock.advance(2 * 3_600_000);
    expect((await bench.sagas.get(id))?.status).toBe('completed');
    expect(told).toHaveLength(1);
    expect(told[0]).toBeGreaterThanOrEqual(3_600_000);
    expect(told[0]).toBeLessThan(3_602_000);
  });
});
