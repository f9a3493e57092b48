import { afterEach, describe, expect, it } from 'vitest';
import { command, defineCommand } from '../../messaging/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';

const Reserve = defineCommand<{ sku: string }>()('inventory.reserve');
const Release = defineCommand<{ sku: string }>()('inventory.release');

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

describe('a command where no reply can be heard', () => {
  it.each([
    ['plain', {}],
    ['transactional', { transactional: true }],
  ])('fails a %s step at once, and its saga undoes what was done', async (_kind, options) => {
    const program = saga({
      name: 'place-order',
      steps: {
        before: { undo: true },
        reserve: {
          ...options,
          dependsOn: ['before'],
          run: () => command(Reserve, { sku: 'x' }),
          undo: true,
          retry: { attempts: 5, backoffMs: 60_000 },
        },
      },
    });
    const engine = await bench.engine({ hearsReplies: false });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: {
        cause: {
          step: 'reserve',
          error: {
            name: 'CommandWithoutBrokerError',
            message:
              "Step 'reserve' of the saga 'place-order' returned the command 'inventory.reserve', and this process has no broker by which to send it and to hear the reply. Give the option broker, for example broker: postgresBroker(), to every process with the role engine; where others relay, with roles: { relay: false }.",
          },
        },
      },
    });
    // Nothing was sent, so there is nothing of its own to undo.
    expect(program.calls).toEqual(['step before', 'step reserve', 'compensation before']);
    expect(bench.sent).toEqual([]);
    expect(bench.clock.now()).toBeLessThan(1_000);
  });

  it('asks for a person when a compensation sends it, who mends that and lets the saga go on', async () => {
    const program = saga({
      steps: {
        reserve: { undo: () => command(Release, { sku: 'x' }) },
        bad: { dependsOn: ['reserve'], run: () => Promise.reject(new Error('no')) },
      },
    });
    const engine = await bench.engine({ hearsReplies: false });
    const handle = await bench.start(engine, program);
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'compensation_failed' });
    expect(outcome).toHaveProperty(
      'detail',
      expect.stringContaining(
        "The compensation of step 'reserve' of the saga '" + program.definition.name + "' returned",
      ),
    );
    expect(bench.clock.now()).toBeLessThan(1_000);
    expect(bench.sent).toEqual([]);
    await bench.clock.until(engine.close());
    const mended = await bench.engine();
    await mended.retry(handle.id);
    await bench.clock.advance(2_000);
    expect(bench.sent.map(({ type }) => type)).toEqual(['inventory.release']);
  });
});
