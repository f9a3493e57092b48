import {
  FactStream,
  SagaEngine,
  systemClock,
  type EngineFact,
  type EngineStore,
  type Store,
} from '@sagaz/core';
import { Gate, Program, severable } from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postgres } from './index.js';

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

describeEachPostgres('the facts of sagas in a database', (server) => {
  let db: TestDatabase;
  let store: Store;
  const engines: SagaEngine[] = [];
  beforeAll(async () => {
    db = await createDatabase(server);
    store = await postgres({ url: db.url }).create({ service: 'spec', logger, clock: systemClock });
    await store.start({ migrate: true });
  });
  afterAll(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
    await store.close();
    await db.drop();
  });

  async function engineOf(
    program: Program,
    own: EngineStore,
    alive: () => boolean = () => true,
  ): Promise<{ engine: SagaEngine; facts: EngineFact[] }> {
    const told: EngineFact[] = [];
    const facts = new FactStream({ logger });
    facts.subscribe((fact) => told.push(fact));
    const steps = program.instance(alive);
    const engine = new SagaEngine({
      service: 'spec',
      store: own,
      definitions: [program.definition],
      resolve: () => steps,
      logger,
      facts,
      settings: { ttlMs: 1_000, pollMs: 50 },
    });
    await engine.run();
    return { engine, facts: told };
  }

  /** The facts about the saga, each as a line. */
  function linesOf(facts: readonly EngineFact[], sagaId: string): string[] {
    return facts.flatMap((fact) => {
      if (!('sagaId' in fact) || fact.sagaId !== sagaId) return [];
      const task = 'role' in fact ? ` ${fact.role} ${fact.step} ${fact.attempt}` : '';
      return [`${fact.kind}${task}`];
    });
  }

  it('are told once each, across a retry, the death of an engine and an undo', async () => {
    const gate = new Gate();
    let tries = 0;
    let dead = false;
    const program = new Program({
      name: 'told',
      steps: {
        a: {
          undo: true,
          retry: { attempts: 2, backoffMs: 1 },
          run: () => (tries++ === 0 ? Promise.reject(new Error('no')) : 'done'),
        },
        b: {
          dependsOn: ['a'],
          run: () => {
            if (dead) throw new Error('no');
            return gate.pass();
          },
        },
      },
    });
    const parts = {
      transactions: severable(store.transactions),
      sagas: severable(store.sagas),
      engines: severable(store.engines),
      inbox: severable(store.inbox),
      wakeUps: severable(store.wakeUps),
    };
    const own: EngineStore = {
      transactions: parts.transactions.value,
      sagas: parts.sagas.value,
      engines: parts.engines.value,
      inbox: parts.inbox.value,
      wakeUps: store.wakeUps,
    };
    const dying = await engineOf(program, own, () => !dead);
    const { id } = await dying.engine.start(program.definition, null, { trace });
    await gate.reached;
    for (const part of Object.values(parts)) part.kill();
    const before = linesOf(dying.facts, id);
    dead = true;
    const heir = await engineOf(program, store);
    engines.push(heir.engine);
    const outcome = await heir.engine.handle(id).outcome({ timeout: '60s' });
    expect(outcome.status).toBe('compensated');
    expect(before).toEqual([
      'saga_started',
      'attempt_began step a 1',
      'attempt_ended step a 1',
      'task_failed step a 1',
      'attempt_began step a 2',
      'attempt_ended step a 2',
      'attempt_began step b 1',
    ]);
    const after = linesOf(heir.facts, id).filter((line) => !/claimed|given_back/.test(line));
    expect(after).toEqual([
      'saga_adopted',
      'task_crashed step b 1',
      'attempt_began step b 1',
      'attempt_ended step b 1',
      'task_failed step b 1',
      'saga_compensating',
      'attempt_began compensation a 1',
      'attempt_ended compensation a 1',
      'saga_ended',
    ]);
    const [started] = await store.sagas.history(id);
    for (const fact of heir.facts) {
      if (!('sagaId' in fact)) continue;
      const createdAt = started?.recordedAt.getTime();
      expect(fact).toMatchObject({ saga: 'told', version: 1, createdAt, ...trace });
    }
    for (const fact of dying.facts) if ('sagaId' in fact) expect(fact).toMatchObject(trace);
  }, 60_000);
});
