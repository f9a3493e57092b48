import { afterEach, describe, expect, it } from 'vitest';
import {
  command,
  defineCommand,
  MessageValidationError,
  type Command,
} from '../../messaging/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';

const Reserve = defineCommand<{ sku: string }>()('inventory.reserve');

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

const TOO_LARGE = 16 * 1_024 * 1_024;
const RETRIED = { attempts: 5, backoffMs: 60_000 };
/** Each is in order by itself: only with the saga's tenant before it is the key too long. */
const TENANT = '漢'.repeat(400);
const cases: [string, string, () => Command][] = [
  [
    'a body that no relay could carry',
    `its payload has ${TOO_LARGE + 10} bytes, and at most ${TOO_LARGE} can be sent. Put what is large where both sides reach it, and send where that is.`,
    () => command(Reserve, { sku: 'x'.repeat(TOO_LARGE) }),
  ],
  [
    'a key that no index holds behind the tenant',
    'tenant, topic and key have 2709 bytes. Give them 2000 at most: a key is the id of what the message is about, or a digest of it.',
    () => command(Reserve, { sku: 'x' }, { key: 'ü'.repeat(750) }),
  ],
  [
    'an item that no index holds in the idempotency key behind the tenant',
    'its tenant and its idempotency key, of which its item is a part, have 2745 bytes. Give it an item so short that they have 2600 at most: an id, or a digest.',
    () => command(Reserve, { sku: 'x' }, { item: '漢'.repeat(500) }),
  ],
];

describe('a command that cannot be sent', () => {
  it.each(cases)('fails its step at once and says why: %s', async (_what, why, make) => {
    const program = saga({
      name: 'place-order',
      steps: {
        before: { undo: true },
        reserve: { dependsOn: ['before'], run: make, undo: true, retry: RETRIED },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program, null, { tenant: TENANT });
    expect(await bench.clock.until(handle.outcome())).toMatchObject({
      status: 'compensated',
      failure: {
        cause: {
          step: 'reserve',
          error: {
            name: 'UnsendableCommandError',
            message: `Step 'reserve' of the saga 'place-order' returned the command 'inventory.reserve', which cannot be sent: ${why}`,
          },
        },
      },
    });
    // Nothing was sent, so there is nothing of its own to undo.
    expect(program.calls).toEqual(['step before', 'step reserve', 'compensation before']);
    expect(bench.sent).toEqual([]);
    expect(bench.clock.now()).toBeLessThan(1_000);
  });

  it.each(cases)(
    'asks for a person in place of an undo, and says why: %s',
    async (_, why, make) => {
      const program = saga({
        steps: {
          reserve: { undo: make, undoRetry: RETRIED },
          bad: { dependsOn: ['reserve'], run: () => Promise.reject(new Error('no')) },
        },
      });
      const engine = await bench.engine();
      const handle = await bench.start(engine, program, null, { tenant: TENANT });
      const outcome = await bench.clock.until(handle.outcome());
      expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'compensation_failed' });
      expect(outcome).toHaveProperty('detail', expect.stringContaining(why));
      expect(bench.sent).toEqual([]);
      expect(bench.clock.now()).toBeLessThan(1_000);
    },
  );

  it('fails its step at once where it is made, and what the step did before is undone', async () => {
    const program = saga({
      steps: {
        reserve: {
          run: () => command(Reserve, { sku: 'x' }, { headers: { region: '\ud800' } }),
          undo: true,
          retry: RETRIED,
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect(await bench.clock.until(handle.outcome())).toMatchObject({
      status: 'compensated',
      failure: {
        cause: {
          error: {
            name: 'InvalidContractError',
            message: expect.stringContaining(
              "The header 'region' of 'inventory.reserve' is no line of text.",
            ),
          },
        },
      },
    });
    expect(program.calls).toEqual(['step reserve', 'compensation reserve']);
    expect(bench.clock.now()).toBeLessThan(1_000);
  });

  it('fails its step where a message of it is refused, and what the step did before is undone', async () => {
    const program = saga({
      steps: {
        charge: {
          run: () => {
            throw new MessageValidationError('card.charged', 'payload', ['amount: not a number']);
          },
          undo: true,
          retry: RETRIED,
        },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    expect(await bench.clock.until(handle.outcome())).toMatchObject({
      status: 'compensated',
      failure: { cause: { error: { name: 'MessageValidationError' } } },
    });
    expect(program.calls).toEqual(['step charge', 'compensation charge']);
  });
});
