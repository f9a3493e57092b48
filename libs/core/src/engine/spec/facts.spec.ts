import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { NonRetryableError } from '../../errors/index.js';
import { EngineBench, Gate, Program, refusing } from '../../testing/index.js';
import type { SagaStore } from '../../ports/index.js';
import { FACT_KINDS, type EngineFact, type FactKind, type FactListener } from '../facts/index.js';
import { order, replyTo } from './commands.fixture.js';

let bench: EngineBench;
afterEach(() => bench.close());

/** The kinds of facts that were told in this file. */
const seen = new Set<FactKind>();
afterAll(() => expect([...seen].sort()).toEqual([...FACT_KINDS].sort()));

const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

const fails = (): never => {
  throw new NonRetryableError('broken');
};

/** How facts read in these tests; of writes there are as many as the store likes. */
function textOf(fact: EngineFact): string | null {
  const task = 'role' in fact ? ` ${fact.role} ${fact.step} ${fact.attempt}` : '';
  const what = `${fact.kind}${task}`;
  switch (fact.kind) {
    case 'transitions_flushed':
      return null;
    case 'saga_claimed':
      return `${what} ${fact.found}`;
    case 'saga_given_back':
      return `${what} ${String(fact.dueInMs)}`;
    case 'saga_failing':
      return `${what} ${fact.failure.kind}`;
    case 'saga_unreadable':
      return `${what} ${fact.reason}${fact.parked ? ' parked' : ''}`;
    case 'saga_needs_attention':
      return `${what} ${fact.reason}${fact.unreadable ? ' unreadable' : ''}`;
    case 'saga_ended':
      return `${what} ${fact.status}`;
    case 'attempt_ended':
      return `${what} ${fact.outcome}`;
    case 'task_failed':
      return `${what} ${fact.next}`;
    case 'task_crashed':
      return `${what} ${fact.crashes}`;
    case 'reply_ignored':
      return `${what} ${fact.reason}`;
    case 'store_failed':
      return `${what} ${fact.failure}`;
    case 'saga_started':
    case 'saga_adopted':
    case 'saga_compensating':
    case 'attempt_began':
    case 'attempt_withdrawn':
    case 'late_effect':
    case 'engine_died':
    case 'engine_buried':
      return what;
  }
}

/** A listener, and what it was told. */
function told(): { listener: FactListener; facts: EngineFact[]; lines: () => string[] } {
  const facts: EngineFact[] = [];
  const listener = (fact: EngineFact): void => {
    seen.add(fact.kind);
    facts.push(fact);
  };
  const lines = (): string[] => facts.map(textOf).filter((line) => line !== null);
  return { listener, facts, lines };
}

/** Facts about sagas, which all say of which one. */
function sagaFacts(facts: readonly EngineFact[]) {
  return facts.flatMap((fact) => ('sagaId' in fact ? [fact] : []));
}

describe('the facts of a saga are told once each, in order', () => {
  it('when it completes at the second attempt of a step', async () => {
    let tries = 0;
    const program = new Program({
      steps: {
        a: {
          retry: { attempts: 2, backoffMs: 10 },
          run: () => (tries++ === 0 ? Promise.reject(new Error('no')) : 'done'),
        },
        b: { dependsOn: ['a'] },
      },
    });
    bench = new EngineBench([program]);
    const { listener, lines, facts } = told();
    const engine = await bench.engine({ listener });
    await bench.clock.advance(1_000);
    const startedAt = bench.clock.date().getTime();
    const handle = await bench.start(engine, program, null, { trace });
    await bench.clock.until(handle.outcome());
    expect(lines()).toEqual([
      'saga_started',
      'attempt_began step a 1',
      'attempt_ended step a 1 failed',
      'task_failed step a 1 attempt',
      'attempt_began step a 2',
      'attempt_ended step a 2 completed',
      'attempt_began step b 1',
      'attempt_ended step b 1 completed',
      'saga_ended completed',
    ]);
    const { name, version } = program.definition;
    const all = { sagaId: handle.id, saga: name, version, createdAt: startedAt, ...trace };
    for (const fact of sagaFacts(facts)) expect(fact).toMatchObject(all);
  });

  it('when it undoes what it did', async () => {
    const program = new Program({
      steps: { a: { undo: true }, b: { dependsOn: ['a'], run: fails } },
    });
    bench = new EngineBench([program]);
    const { listener, lines } = told();
    const engine = await bench.engine({ listener });
    await bench.clock.until((await bench.start(engine, program)).outcome());
    expect(lines()).toEqual([
      'saga_started',
      'attempt_began step a 1',
      'attempt_ended step a 1 completed',
      'attempt_began step b 1',
      'attempt_ended step b 1 failed',
      'task_failed step b 1 failed',
      'saga_compensating',
      'attempt_began compensation a 1',
      'attempt_ended compensation a 1 completed',
      'saga_ended compensated',
    ]);
  });

  it('when it is cancelled, and its compensation fails', async () => {
    const gate = new Gate();
    const program = new Program({ steps: { a: { run: () => gate.pass(), undo: fails } } });
    bench = new EngineBench([program]);
    const { listener, lines } = told();
    const engine = await bench.engine({ listener });
    const handle = await bench.start(engine, program);
    await bench.clock.until(gate.reached);
    await engine.cancel(handle.id);
    await bench.clock.advance(100);
    gate.open();
    await bench.clock.until(handle.outcome());
    expect(lines()).toEqual([
      'saga_started',
      'attempt_began step a 1',
      'saga_failing cancelled',
      'attempt_ended step a 1 completed',
      'saga_compensating',
      'attempt_began compensation a 1',
      'attempt_ended compensation a 1 failed',
      'task_failed compensation a 1 failed',
      'saga_needs_attention compensation_failed',
    ]);
  });

  it('when its engine dies and another one takes it over, in each engine what happened there', async () => {
    const gate = new Gate();
    let first = true;
    const run = (): unknown => {
      if (!first) return 'done';
      first = false;
      return gate.pass();
    };
    const program = new Program({ steps: { a: {}, b: { dependsOn: ['a'], run } } });
    bench = new EngineBench([program]);
    const before = told();
    const after = told();
    const dying = await bench.engine({ listener: before.listener });
    const { id } = await bench.start(dying, program, null, { trace });
    const { createdAt } = sagaFacts(before.facts)[0] ?? {};
    await bench.clock.until(gate.reached);
    bench.kill(dying);
    const toldBefore = before.lines();
    const heir = await bench.engine({ listener: after.listener });
    await bench.clock.until(heir.handle(id).outcome({ timeout: '1h' }));
    expect(toldBefore).toEqual([
      'saga_started',
      'attempt_began step a 1',
      'attempt_ended step a 1 completed',
      'attempt_began step b 1',
    ]);
    expect(after.lines()).toEqual([
      'engine_buried',
      'saga_claimed claimed',
      'saga_adopted',
      'task_crashed step b 1 1',
      'saga_given_back 1000',
      'saga_claimed claimed',
      'attempt_began step b 1',
      'attempt_ended step b 1 completed',
      'saga_ended completed',
    ]);
    for (const fact of sagaFacts(after.facts)) {
      expect(fact).toMatchObject({ sagaId: id, createdAt, ...trace });
    }
  });

  it('when it waits for a reply, and gets a wrong one first', async () => {
    const program = new Program(order);
    bench = new EngineBench([program]);
    const { listener, lines } = told();
    const engine = await bench.engine({ listener });
    const handle = await bench.start(engine, program);
    await bench.clock.advance(100);
    const [sent] = bench.sent;
    await replyTo(bench, sent, 'ok', {}, { answers: null });
    await bench.clock.advance(2_000);
    await replyTo(bench, sent, 'refused', { reason: 'sold_out' });
    await bench.clock.until(handle.outcome());
    expect(lines().filter((line) => !/claimed|given_back/.test(line))).toEqual([
      'saga_started',
      'attempt_began step reserve 1',
      'attempt_ended step reserve 1 command_sent',
      'reply_ignored unknown_command',
      'task_failed step reserve 1 failed',
      'saga_compensating',
      'saga_ended compensated',
    ]);
  });
});

describe('an attempt', () => {
  it('that gets no connection is withdrawn, and neither begins nor ends', async () => {
    const never = new Promise<never>(() => undefined);
    const program = new Program({ steps: { a: { transactional: true } } });
    bench = new EngineBench([program]);
    const { listener, facts } = told();
    const engine = await bench.engine({ listener, stepTransactions: { run: () => never } });
    await bench.start(engine, program);
    await bench.clock.advance(1_500);
    expect(sagaFacts(facts).map(textOf)).toEqual(['saga_started', 'attempt_withdrawn step a 1']);
    expect(sagaFacts(facts)[1]).toMatchObject({ waitedMs: 1_000 });
  });

  it('that runs again in another transaction begins and ends once', async () => {
    const program = new Program({ steps: { a: { transactional: true } } });
    bench = new EngineBench([program]);
    const { listener, lines } = told();
    let lost = 0;
    const engine = await bench.engine({
      listener,
      stepTransactions: {
        run: async (_connection, work, beforeCommit) => {
          await bench.transactions.run(async (transaction) => {
            await work(transaction);
            if (lost++ === 0) throw Object.assign(new Error('race'), { code: '40001' });
            await beforeCommit(transaction);
          });
        },
      },
    });
    await bench.clock.until((await bench.start(engine, program)).outcome());
    expect(program.calls).toEqual(['step a', 'step a']);
    expect(lines()).toEqual([
      'saga_started',
      'attempt_began step a 1',
      'attempt_ended step a 1 completed',
      'saga_ended completed',
    ]);
  });

  it('that is abandoned ends then, and tells its effect later', async () => {
    const gate = new Gate();
    const program = new Program({
      steps: { a: { timeoutMs: 100, run: () => gate.pass() } },
    });
    bench = new EngineBench([program]);
    const { listener, lines } = told();
    const engine = await bench.engine({ listener, settings: { settleBoundMs: 1_000 } });
    await bench.clock.until((await bench.start(engine, program)).outcome());
    const ended = ['saga_compensating', 'saga_ended compensated'];
    const before = [
      'saga_started',
      'attempt_began step a 1',
      'attempt_ended step a 1 timed_out',
      'task_failed step a 1 unknown',
      ...ended,
    ];
    expect(lines()).toEqual(before);
    gate.open();
    await bench.clock.advance(10);
    expect(lines().slice(before.length)[0]).toBe('late_effect step a 1');
    expect(lines().filter((line) => line.startsWith('attempt_'))).toHaveLength(2);
  });
});

describe('an engine tells', () => {
  it('of a saga that it cannot run, and then that it needs a person', async () => {
    const hold = new Gate();
    const program = new Program({ steps: { a: { run: () => hold.pass() } } });
    bench = new EngineBench([program]);
    const dying = await bench.engine();
    const { id } = await bench.start(dying, program);
    await bench.clock.until(hold.reached);
    bench.kill(dying);
    const { listener, lines } = told();
    const unreadable = (sagas: SagaStore): SagaStore =>
      new Proxy(sagas, {
        get(target, name): unknown {
          const method: unknown = Reflect.get(target, name);
          if (typeof method !== 'function') return method;
          if (name !== 'claim')
            return (...given: unknown[]): unknown => Reflect.apply(method, target, given);
          return async (...given: Parameters<SagaStore['claim']>) =>
            (await target.claim(...given)).map((saga) => ({
              ...saga,
              entries: saga.entries.map((entry) => ({ ...entry, kind: 'of_the_future' })),
            }));
        },
      });
    await bench.engine({ listener, store: unreadable });
    await bench.clock.advance(100_000);
    expect((await bench.sagas.get(id))?.status).toBe('needs_attention');
    expect(lines()).toEqual([
      'engine_buried',
      'saga_unreadable journal_unreadable',
      'saga_needs_attention journal_unreadable unreadable',
    ]);
  });

  it('that it was declared dead, and of failures of its store', async () => {
    const program = new Program({ steps: { a: {} } });
    bench = new EngineBench([program]);
    const store = refusing<SagaStore>(bench.sagas);
    const { listener, lines } = told();
    const engine = await bench.engine({ listener, store: () => store.value });
    const { incarnation } = engine;
    await bench.clock.advance(100);
    store.refuse('claim');
    await bench.clock.advance(1_100);
    store.grant();
    await bench.clock.advance(20_000);
    bench.engines.beat = () => Promise.resolve(false);
    await bench.clock.advance(5_000);
    Reflect.deleteProperty(bench.engines, 'beat');
    await bench.clock.advance(100);
    expect(engine.incarnation).not.toBe(incarnation);
    expect(lines()[0]).toBe('store_failed refused');
    expect(lines().at(-1)).toBe('engine_died');
  });
});
