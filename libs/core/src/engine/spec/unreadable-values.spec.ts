import { afterEach, describe, expect, it } from 'vitest';
import { command, defineCommand, UnserializableValueError } from '../../messaging/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';

const Weigh = defineCommand<object>()('stock.weigh');

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

async function outcomeOf(program: Program) {
  const engine = await bench.engine();
  const handle = await bench.start(engine, program);
  return bench.clock.until(handle.outcome({ timeout: '1h' }));
}

/** Its step is no async function, whose promise would read `then` of what it returns. */
class Returning extends Program {
  readonly #make: () => unknown;

  constructor(make: () => unknown) {
    super({ steps: { a: { retry: { attempts: 3 } } } });
    this.#make = make;
  }

  override instance(): object {
    const run = (): unknown => {
      this.calls.push('step a');
      return this.#make();
    };
    return { 'step a': run };
  }
}

describe('a value that throws when it is read', () => {
  const throwing = (): never => {
    throw new Error('a trap');
  };
  const hostile: [string, () => object][] = [
    ['by a getter', () => Object.defineProperty({}, 'a', { enumerable: true, get: throwing })],
    ['by a getter that is asked first', () => Object.defineProperty({}, 'then', { get: throwing })],
    ['by the traps of a proxy', () => new Proxy({}, { has: throwing, ownKeys: throwing })],
    [
      'by every trap of a proxy',
      () => new Proxy({}, { get: throwing, has: throwing, getPrototypeOf: throwing }),
    ],
    [
      'since it was revoked',
      () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      },
    ],
  ];

  it.each(hostile)('%s is a result that no further attempt would store', async (_, make) => {
    const program = new Returning(make);
    bench = new EngineBench([program]);
    expect(await outcomeOf(program)).toMatchObject({
      failure: {
        cause: {
          error: {
            name: 'UnserializableValueError',
            code: 'SAGAZ_UNSERIALIZABLE_VALUE',
            causes: [expect.any(String)],
          },
        },
      },
    });
    expect(program.calls).toEqual(['step a']);
  });

  it.each(hostile)('%s is refused as an input, and no saga is started', async (_, make) => {
    const program = saga({ steps: { a: {} } });
    const engine = await bench.engine();
    const start = bench.start(engine, program, make());
    await expect(start).rejects.toThrow(UnserializableValueError);
    expect(await bench.sagas.find({})).toEqual([]);
  });

  it.each(hostile)('%s is refused as the payload of a command', async (_, make) => {
    const program = saga({
      steps: { a: { run: () => command(Weigh, make()), retry: { attempts: 3 } } },
    });
    expect(await outcomeOf(program)).toMatchObject({
      failure: { cause: { error: { name: 'UnserializableValueError' } } },
    });
    expect(program.calls).toEqual(['step a']);
  });

  it('and hides a command, leaves it the command that was not returned', async () => {
    const program = saga({
      steps: {
        a: {
          run: () => {
            command(Weigh, { n: 1 });
            return new Proxy({}, { ownKeys: throwing });
          },
        },
      },
    });
    expect(await outcomeOf(program)).toMatchObject({
      failure: { cause: { error: { name: 'UnreturnedCommandError' } } },
    });
  });
});
