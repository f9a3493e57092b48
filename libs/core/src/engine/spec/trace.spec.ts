import { afterEach, describe, expect, it } from 'vitest';
import { command, defineCommand } from '../../messaging/index.js';
import { EngineBench, Program } from '../../testing/index.js';

const Reserve = defineCommand<{ sku: string }>()('inventory.reserve');
const Release = defineCommand<{ sku: string }>()('inventory.release');

let bench: EngineBench;
afterEach(() => bench.close());

describe('the trace in which a saga was started', () => {
  const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

  it('is on its commands, also on those of a process that took the saga over', async () => {
    const program = new Program({
      steps: {
        reserve: {
          run: () => command(Reserve, { sku: 'x' }),
          undo: () => command(Release, { sku: 'x' }),
          replyTimeoutMs: 60_000,
        },
      },
    });
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    await bench.start(engine, program, null, { trace });
    await bench.clock.advance(10);
    bench.kill(engine);
    await bench.engine();
    // No reply comes: what the step may have done is undone by another command.
    await bench.clock.advance(120_000);
    const [sent, undo] = bench.sent;
    expect(sent).toMatchObject({ type: 'inventory.reserve', headers: trace });
    expect(undo).toMatchObject({ type: 'inventory.release', headers: trace });
  });

  it('is absent where none was given', async () => {
    const program = new Program({
      steps: { reserve: { run: () => command(Reserve, { sku: 'x' }), replyTimeoutMs: 60_000 } },
    });
    bench = new EngineBench([program]);
    await bench.start(await bench.engine(), program);
    await bench.clock.advance(10);
    expect(bench.sent[0]?.headers).not.toHaveProperty('traceparent');
  });
});
