import { afterEach, describe, expect, it } from 'vitest';
import { SagaRefusal } from '../../errors/index.js';
import { command, defineCommand } from '../../messaging/index.js';
import type { StepContext } from '../../saga/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';
import { order, rawReplyTo, replyTo } from './commands.fixture.js';

const Weigh = defineCommand<{ n: number }, { text: string }>()('stock.weigh');

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

async function outcomeOf(program: Program, input?: unknown) {
  const engine = await bench.engine();
  const handle = await bench.start(engine, program, input ?? null);
  return bench.clock.until(handle.outcome({ timeout: '1h' }));
}

/** An array in an array in an array. */
function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

class Order {
  id = 'o';
  confirm(): void {
    this.id = 'confirmed';
  }
}

class Line {
  sku = 'a';
}

/** A result by name, of a saga whose steps the compiler does not know. */
function resultOf({ result }: Pick<StepContext, 'result'>, step: string): unknown {
  return Reflect.apply(result, undefined, [step]);
}

/** Empties a list in place, as people do. */
function drained(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('It is no list.');
  return value.splice(0) as unknown[];
}

describe('what a method is given', () => {
  it('belongs to that call alone: attempts, steps and compensations share nothing', async () => {
    const seen: unknown[] = [];
    const program = saga({
      output: 'list',
      steps: {
        list: {
          run: ({ input }) => {
            seen.push(drained(input));
            return ['a', { b: ['c'] }];
          },
          undo: ({ input, context }) => {
            seen.push(drained(input), drained(resultOf(context, 'list')));
          },
        },
        ship: {
          dependsOn: ['list'],
          retry: { attempts: 3, backoffMs: 10 },
          run: ({ input, context }) => {
            seen.push(drained(input));
            for (let times = 0; times < 2; times += 1)
              seen.push(drained(resultOf(context, 'list')));
            throw new Error('no carrier');
          },
        },
      },
    });
    expect(await outcomeOf(program, [1, 2])).toMatchObject({ status: 'compensated' });
    const list = ['a', { b: ['c'] }];
    expect(seen).toEqual([
      [1, 2],
      ...Array.from({ length: 3 }, () => [[1, 2], list, list]).flat(),
      [1, 2],
      list,
    ]);
  });

  it('of what was returned, is what it was then: what its maker does with it later changes nothing', async () => {
    const kept = { n: 1, list: ['a'] };
    const program = saga({
      output: 'read',
      steps: {
        make: { run: () => kept },
        read: {
          dependsOn: ['make'],
          run: ({ context }) => {
            kept.n = 2;
            kept.list.pop();
            return resultOf(context, 'make');
          },
        },
      },
    });
    expect(await outcomeOf(program)).toEqual({
      status: 'completed',
      output: { n: 1, list: ['a'] },
    });
  });

  it('as the outcome of a saga, belongs to each of those who await it', async () => {
    const program = saga({ output: 'a', steps: { a: { run: () => ({ list: [1, 2] }) } } });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const other = engine.handle(handle.id);
    const both = Promise.all([handle.outcome(), other.outcome()]);
    const [one, two] = await bench.clock.until(both);
    expect(one).not.toBe(two);
    if (one.status === 'completed') drained(Reflect.get(Object(one.output) as object, 'list'));
    expect(two).toEqual({ status: 'completed', output: { list: [1, 2] } });
    expect(await handle.outcome()).toEqual(two);
  });
});

describe('a command that is made and not returned', () => {
  const cases: [string, () => unknown, string][] = [
    [
      'fails its step',
      () => void command(Weigh, { n: 1 }),
      "Step 'a' of the saga 'weigh' made the command 'stock.weigh' and did not return it, so it was not sent.",
    ],
    [
      'also where it was made later',
      async () => {
        await Promise.resolve();
        command(Weigh, { n: 1 });
        return 'done';
      },
      'and did not return it',
    ],
    [
      'also beside another one that is returned',
      () => {
        command(Weigh, { n: 1 });
        return command(Weigh, { n: 2 });
      },
      'make only the command that is returned',
    ],
    [
      'also in a list',
      () => [command(Weigh, { n: 1 }), command(Weigh, { n: 2 })],
      "returned several values with the command 'stock.weigh' among them",
    ],
  ];
  it.each(cases)('%s', async (_, run, message) => {
    const program = saga({ name: 'weigh', steps: { a: { run, undo: true } } });
    expect(await outcomeOf(program)).toMatchObject({
      status: 'compensated',
      failure: {
        cause: {
          step: 'a',
          error: {
            name: 'UnreturnedCommandError',
            message: expect.stringContaining(message) as string,
          },
        },
      },
    });
    expect(bench.sent).toEqual([]);
    expect(program.calls).toEqual(['step a', 'compensation a']);
  });
});

describe('a value that would come back as another', () => {
  it('is refused as the result of a step, with what would be missing', async () => {
    const program = saga({ steps: { a: { run: () => ({ orders: [new Order()] }) } } });
    expect(await outcomeOf(program)).toMatchObject({
      failure: {
        cause: {
          error: {
            name: 'UnserializableValueError',
            message:
              "The value cannot be stored: $.orders[0] is an Order whose 'confirm' would be missing when it is read back, which JSON does not hold unchanged. Give a plain object of its data: { ...instance }.",
          },
        },
      },
    });
  });

  it('is refused as the input of a saga, before it is started', async () => {
    const program = saga({ steps: { a: {} } });
    const engine = await bench.engine();
    await expect(bench.start(engine, program, new Order())).rejects.toThrow("whose 'confirm'");
    expect(await bench.sagas.find({})).toEqual([]);
  });

  it('is none where a class has nothing but data', async () => {
    const program = saga({ output: 'a', steps: { a: { run: () => new Line() } } });
    expect(await outcomeOf(program, new Line())).toEqual({
      status: 'completed',
      output: { sku: 'a' },
    });
  });
});

describe('a value of as many levels as are allowed', () => {
  it.each([511, 512])('is input, result and output alike: %i', async (levels) => {
    const program = saga({ output: 'a', steps: { a: { run: ({ input }) => input } } });
    expect(await outcomeOf(program, nested(levels))).toEqual({
      status: 'completed',
      output: nested(levels),
    });
  });

  it('is refused beyond that where it is given, and not where others share it', async () => {
    const program = saga({ steps: { a: { run: () => nested(513) } } });
    const engine = await bench.engine();
    const start = bench.start(engine, program, nested(513));
    await expect(start).rejects.toThrow('nested more than 512 levels deep');
    const handle = await bench.start(engine, program);
    expect(await bench.clock.until(handle.outcome())).toMatchObject({
      failure: { cause: { error: { name: 'UnserializableValueError' } } },
    });
  });
});

describe('the reply of another service', () => {
  const replies: [string, string, object][] = [
    ['with a minus zero', '{"n":-0,"list":[-0.0]}', { output: { n: 0, list: [0] } }],
    ['with a number beyond all numbers', '{"n":1e999}', { status: 'compensated' }],
    ['of 512 levels', JSON.stringify(nested(512)), { output: nested(512) }],
    ['of 100,000 levels', '['.repeat(100_000) + ']'.repeat(100_000), { status: 'compensated' }],
    [
      'with names that objects have by themselves',
      '{"__proto__":{"admin":true},"constructor":"x"}',
      { output: JSON.parse('{"__proto__":{"admin":true},"constructor":"x"}') as unknown },
    ],
  ];
  it.each(replies)('%s is read, or is a failed step', async (_, text, end) => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    await rawReplyTo(bench, bench.sent[0], 'ok', text);
    await bench.clock.advance(100);
    for (const sent of bench.sent.slice(1)) await replyTo(bench, sent, 'ok', undefined);
    expect(await bench.clock.until(handle.outcome())).toMatchObject(end);
  });

  it('that refuses keeps its reason, however its details are', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    await replyTo(bench, bench.sent[0], 'refused', { reason: 'no', details: nested(2_000) });
    expect(await bench.clock.until(handle.outcome())).toMatchObject({
      status: 'compensated',
      failure: { cause: { error: { name: 'SagaRefusal', reason: 'no' } } },
    });
  });
});

it('keeps a refusal of a step whatever its reason and details are', async () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  const program = saga({
    steps: {
      a: {
        run: () => {
          throw Reflect.construct(SagaRefusal, [{ no: 'text' }, circle]) as Error;
        },
      },
    },
  });
  expect(await outcomeOf(program)).toMatchObject({
    status: 'compensated',
    failure: { cause: { error: { reason: '{"no":"text"}', details: { self: '…' } } } },
  });
});

describe('a start or a wait', () => {
  it.each([
    [
      { id: 'x' },
      "id is 'x'. Give a UUIDv7, which newId() makes, or leave it out and give a key of your own as idempotencyKey.",
    ],
    [
      { id: '9b2e6a0e-1f0f-4c6e-9a51-6f6f4f4a0a01' },
      "id is '9b2e6a0e-1f0f-4c6e-9a51-6f6f4f4a0a01'. Give a UUIDv7, which newId() makes, or leave it out and give a key of your own as idempotencyKey.",
    ],
    [{ id: undefined }, 'id is undefined.'],
    [{ idempotencyKey: undefined }, 'idempotencyKey is undefined. Give a text'],
    [{ idempotencyKey: 'a\ud800' }, 'Give a text'],
    [{ tenant: 7 }, 'tenant is 7. Give a text'],
    [{ idempotencykey: 'a' }, "idempotencykey is 'a'. There is no such option."],
  ])('is refused with %j', async (options, message) => {
    const program = saga({ steps: { a: {} } });
    const engine = await bench.engine();
    const start: unknown = Reflect.get(engine, 'start');
    if (typeof start !== 'function') throw new TypeError('There is no start.');
    const started = Reflect.apply(start, engine, [
      program.definition,
      null,
      options,
    ]) as Promise<unknown>;
    await expect(started).rejects.toThrow(message);
    expect(await bench.sagas.find({})).toEqual([]);
  });

  it.each([
    [{ timeOut: '1s' }, "timeOut is '1s'. There is no such option. Give { timeout }"],
    [{ timeout: Number.NaN }, 'NaN is not a duration'],
    [{ timeout: -1 }, '-1 is negative'],
    [{ timeout: '1 s' }, "'1 s' is not a duration"],
  ])('of an outcome is refused with %j', async (options, message) => {
    const program = saga({ steps: { a: {} } });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    const wait: unknown = Reflect.get(handle, 'outcome');
    if (typeof wait !== 'function') throw new TypeError('There is no outcome.');
    await expect(Reflect.apply(wait, handle, [options]) as Promise<unknown>).rejects.toThrow(
      message,
    );
  });

  it('drops a trace that is none, and keeps one that is', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const program = saga({ steps: { a: {} } });
    const engine = await bench.engine();
    for (const [trace, kept] of [
      [{ traceparent: 'none' }, undefined],
      [{ traceparent, tracestate: 'x'.repeat(600) }, { traceparent }],
      [
        { traceparent, tracestate: 'a=1' },
        { traceparent, tracestate: 'a=1' },
      ],
    ] as const) {
      const handle = await bench.start(engine, program, null, { trace });
      expect(await bench.clock.until(handle.outcome())).toMatchObject({ status: 'completed' });
      const [first] = await bench.sagas.history(handle.id);
      expect((JSON.parse(first?.data ?? '{}') as { trace?: unknown }).trace).toEqual(kept);
    }
  });
});
