import { afterEach, describe, expect, it } from 'vitest';
import { HEADERS, type OutboxMessage } from '../../ports/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';
import { order, replyTo } from './commands.fixture.js';

const HOUR = 3_600_000;

let bench: EngineBench;
afterEach(() => bench.close());

function waiting(replyTimeoutMs: number, more: ProgramOptions['steps'] = {}): Program {
  const { reserve } = order.steps;
  const program = new Program({
    ...order,
    steps: { reserve: { ...reserve, replyTimeoutMs }, ...more },
  });
  bench = new EngineBench([program]);
  return program;
}

/** A saga that waits for a reply, an hour after its only process died. */
async function abandoned(replyTimeoutMs: number): Promise<string> {
  const program = waiting(replyTimeoutMs);
  const dying = await bench.engine();
  const { id } = await bench.start(dying, program);
  await bench.clock.advance(10);
  bench.kill(dying);
  await bench.clock.advance(HOUR);
  return id;
}

const undos = (): OutboxMessage[] =>
  bench.sent.filter((one) => one.headers[HEADERS.role] === 'compensation');

describe('a service that was away for longer than its reply timeout', () => {
  it('takes the replies that lay in the broker before it misses them', async () => {
    const id = await abandoned(900_000);
    const back = await bench.engine();
    await bench.clock.advance(29_000);
    expect(undos()).toEqual([]);
    await replyTo(bench, bench.sent[0], 'ok', { place: 'shelf 7' });
    expect(await bench.clock.until(back.handle(id).result())).toEqual({ place: 'shelf 7' });
    expect(undos()).toEqual([]);
  });

  it.each([900_000, 2_000])(
    'misses those that did not come within half a minute, however long they might take (%i ms)',
    async (replyTimeoutMs) => {
      const id = await abandoned(replyTimeoutMs);
      await bench.engine();
      const before = await bench.commits(id);
      await bench.clock.advance(29_000);
      expect(undos()).toHaveLength(0);
      // Taken, and put back until then: once.
      expect((await bench.commits(id)) - before).toBeLessThanOrEqual(2);
      await bench.clock.advance(4_000);
      expect(undos()).toHaveLength(1);
    },
  );

  it('does so for compensations too', async () => {
    const program = waiting(5_000, {
      bad: { dependsOn: ['reserve'], run: () => Promise.reject(new Error('no')) },
    });
    const dying = await bench.engine();
    const { id } = await bench.start(dying, program);
    await bench.clock.advance(10);
    await replyTo(bench, bench.sent[0], 'ok', { place: 'x' });
    await bench.clock.advance(2_000);
    expect(undos()).toHaveLength(1);
    bench.kill(dying);
    await bench.clock.advance(HOUR);
    const back = await bench.engine();
    const before = await bench.commits(id);
    await bench.clock.advance(29_000);
    expect(undos()).toHaveLength(1);
    expect((await bench.commits(id)) - before).toBeLessThanOrEqual(2);
    await replyTo(bench, undos()[0], 'ok', undefined);
    expect((await bench.clock.until(back.handle(id).outcome())).status).toBe('compensated');
    expect(undos()).toHaveLength(1);
  });
});

describe('a service that lives', () => {
  it('waits for its own commands as long as they say', async () => {
    const program = waiting(5_000);
    const engine = await bench.engine();
    await bench.start(engine, program);
    await bench.clock.advance(4_000);
    expect(undos()).toHaveLength(0);
    await bench.clock.advance(3_000);
    expect(undos()).toHaveLength(1);
  });

  it('listens after an outage of its store as after a start: nobody could write replies down', async () => {
    const program = waiting(60_000);
    const { engines } = bench;
    const beat = engines.beat.bind(engines);
    let away = false;
    engines.beat = (incarnation) => (away ? Promise.reject(new Error('away')) : beat(incarnation));
    const engine = await bench.engine();
    const { id } = await bench.start(engine, program);
    await bench.clock.advance(10);
    away = true;
    await bench.clock.advance(70_000);
    away = false;
    await bench.clock.advance(29_000);
    expect(undos()).toHaveLength(0);
    await replyTo(bench, bench.sent[0], 'ok', { place: 'shelf 7' });
    expect(await bench.clock.until(engine.handle(id).result())).toEqual({ place: 'shelf 7' });
  });
});
