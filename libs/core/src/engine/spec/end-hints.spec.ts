import { afterEach, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const fails = (): never => {
  throw new NonRetryableError('broken');
};

it.each<[string, string, ProgramOptions['steps']]>([
  ['is completed', 'completed', { first: {}, second: { dependsOn: ['first'] } }],
  ['is completed by a transactional step', 'completed', { first: { transactional: true } }],
  [
    'is compensated',
    'compensated',
    { first: { undo: true }, bad: { dependsOn: ['first'], run: fails } },
  ],
])(
  'tells other processes once that a saga %s, when the end is committed',
  async (_, status, steps) => {
    const program = new Program({ steps });
    bench = new EngineBench([program]);
    const told: [string | undefined, string | undefined][] = [];
    bench.wakeUps.on('ended', (id) => {
      void bench.sagas.get(String(id)).then((saga) => told.push([id, saga?.status]));
    });
    const { id } = await bench.start(await bench.engine(), program);
    await bench.clock.advance(1_000);
    expect(told).toEqual([[id, status]]);
  },
);
