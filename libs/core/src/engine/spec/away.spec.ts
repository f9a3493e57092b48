import { afterEach, describe, expect, it } from 'vitest';
import { HEADERS, type OutboxMessage } from '../../ports/index.js';
import { EngineBench, Program } from '../../testing/index.js';
import { order, replyTo } from './commands.fixture.js';

const HOUR = 3_600_000;

let bench: EngineBench;
afterEach(() => bench.close());

/** A saga that waits for a reply, an hour after its only process died. */
async function abandoned(replyTimeoutMs: number): Promise<string> {
  const { reserve } = order.steps;
  const program = new Program({ ...order, steps: { reserve: { ...reserve, replyTimeoutMs } } });
  bench = new EngineBench([program]);
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
    const handle = back.handle(id);
    expect(await bench.clock.until(handle.result())).toEqual({ place: 'shelf 7' });
    expect(undos()).toEqual([]);
  });

  it('misses those that did not come within half a minute', async () => {
    await abandoned(900_000);
    await bench.engine();
    await bench.clock.advance(29_000);
    expect(undos()).toHaveLength(0);
    await bench.clock.advance(4_000);
    expect(undos()).toHaveLength(1);
  });

  it('listens no longer than the reply may take', async () => {
    await abandoned(5_000);
    await bench.engine();
    await bench.clock.advance(4_000);
    expect(undos()).toHaveLength(0);
    await bench.clock.advance(4_000);
    expect(undos()).toHaveLength(1);
  });

  it('waits for its own commands as long as they say', async () => {
    const { reserve } = order.steps;
    const program = new Program({
      ...order,
      steps: { reserve: { ...reserve, replyTimeoutMs: 5_000 } },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    await bench.start(engine, program);
    await bench.clock.advance(4_000);
    expect(undos()).toHaveLength(0);
    await bench.clock.advance(3_000);
    expect(undos()).toHaveLength(1);
  });
});
