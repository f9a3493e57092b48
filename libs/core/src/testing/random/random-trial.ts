import type { SagaEngine } from '../../engine/index.js';
import { NonRetryableError, SagaRefusal } from '../../errors/index.js';
import { newId } from '../../ids.js';
import { MemoryTable, MemoryTransaction } from '../../memory/index.js';
import { command, defineCommand } from '../../messaging/index.js';
import { EngineBench, type BenchEngineOptions } from '../engine-bench.js';
import { Program, type Behaviour, type Call, type ProgramStep } from '../program.js';
import { checkTrial } from './invariants.js';
import { Outside } from './outside.js';
import { pick, randomOf } from './seeded-random.js';
import { describePlan, planSaga, type Fault, type StepPlan } from './saga-plan.js';

const Do = defineCommand<{ step: string }, string>()('party.do');
const Undo = defineCommand<{ step: string }>()('party.undo');
const ENGINE: BenchEngineOptions = {
  settings: { settleBoundMs: 2_000, maxInFlight: 4, shutdownMs: 3_000 },
};
const OVER = ['completed', 'compensated', 'partially_committed', 'needs_attention'];

/**
 * One saga of a random graph with random faults, run by engines that die and are replaced. It must
 * end all forward, all undone, or parked with a reason; every effect as its journal says.
 */
export class RandomTrial {
  readonly plans: ReadonlyMap<string, StepPlan>;
  readonly program: Program;
  readonly bench: EngineBench;
  readonly outside: Outside;
  /** What transactional steps wrote, by idempotency key. */
  readonly rows = new MemoryTable<string>();
  /** Idempotency keys that were not what they must be. */
  readonly wrongKeys: string[] = [];
  readonly #random: () => number;
  readonly #engines: SagaEngine[] = [];
  readonly #calls = new Map<string, number>();

  constructor(readonly seed: number) {
    this.#random = randomOf(seed);
    this.plans = planSaga(this.#random);
    const steps: Record<string, ProgramStep> = {};
    for (const [name, plan] of this.plans) steps[name] = this.#step(name, plan);
    this.program = new Program({
      steps,
      maxCrashes: 4,
      failureStrategy: pick(this.#random, 'fail-fast', 'wait-all', 'fail-fast-with-grace'),
      graceMs: 400,
      ...(this.#random() < 0.15 ? { deadlineMs: 5_000 + Math.floor(this.#random() * 60_000) } : {}),
    });
    this.bench = new EngineBench([this.program]);
    this.outside = new Outside(this.bench, this.#random);
  }

  /** Runs it to its end and checks all that must hold. Throws with the seed and the plan. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      throw new Error(`Seed ${this.seed}:\n${describePlan(this.plans)}\n${String(error)}`, {
        cause: error,
      });
    }
  }

  async #run(): Promise<void> {
    const { bench } = this;
    const first = await bench.engine(ENGINE);
    this.#engines.push(first);
    await this.#keepAlive();
    const { id } = await bench.start(first, this.program);
    if (this.#random() < 0.1) {
      bench.clock.after(Math.floor(this.#random() * 2_000), () => {
        void first.cancel(id, 'random').catch(() => undefined);
      });
    }
    // An operator who asks at any moment, needed or not: whichever engine lives then takes it.
    let moves = 0;
    if (this.#random() < 0.3) {
      for (let asked = 0; asked < 6; asked += 1) {
        const at = Math.floor(this.#random() ** 3 * 400_000);
        moves = Math.max(moves, bench.clock.now() + at + 120_000);
        bench.clock.after(at, () => {
          void this.#engines[0]?.retry(id, 'random').catch(() => undefined);
        });
      }
    }
    for (let round = 0; round < 400; round += 1) {
      await bench.clock.advance(round < 40 ? 250 : 15_000);
      await this.#keepAlive();
      this.outside.answer();
      if (bench.clock.now() < moves) continue;
      if (OVER.includes((await bench.sagas.get(id))?.status ?? '')) break;
    }
    // What is late comes now.
    await bench.clock.advance(200_000);
    this.outside.answer();
    await bench.clock.advance(20_000);
    const status = (await bench.sagas.get(id))?.status;
    checkTrial(this, id, status, await bench.journal(id));
    await bench.close();
  }

  /** Dead processes are replaced. */
  async #keepAlive(): Promise<void> {
    while (this.#engines.length < 2) this.#engines.push(await this.bench.engine(ENGINE));
  }

  #die(): Promise<never> {
    for (const engine of this.#engines.splice(0)) this.bench.kill(engine);
    return new Promise(() => undefined);
  }

  #step(name: string, plan: StepPlan): ProgramStep {
    return {
      dependsOn: plan.dependsOn,
      pivot: plan.pivot,
      transactional: plan.kind === 'transactional',
      timeoutMs: 3_000,
      replyTimeoutMs: 10_000,
      retry: { attempts: 3, backoffMs: 200, factor: 4, maxDelayMs: 5_000 },
      undoRetry: { attempts: 6, backoffMs: 200, factor: 2, maxDelayMs: 2_000 },
      run: this.#behaviour(name, plan, plan.faults),
      ...(plan.undo ? { undo: this.#behaviour(name, plan, plan.undoFaults) } : {}),
      ...(plan.recover ? { recover: () => 'recovered' } : {}),
    };
  }

  #behaviour(name: string, plan: StepPlan, faults: readonly Fault[]): Behaviour {
    return async (call) => {
      const task = `${call.role} ${name}`;
      const count = this.#calls.get(task) ?? 0;
      this.#calls.set(task, count + 1);
      const effect = (): unknown => this.#effect(name, plan, call);
      switch (faults[count] ?? 'ok') {
        case 'throw':
          if (call.role === 'compensation' && this.#random() < 0.5) effect();
          throw new Error(`${task} failed`);
        case 'final':
          throw new NonRetryableError('never');
        case 'refuse':
          throw new SagaRefusal('no');
        case 'hang':
          return new Promise((_resolve, reject) => {
            call.context.signal.addEventListener('abort', () => reject(new Error('stopped')));
          });
        case 'deaf':
          await this.#sleep(6_000 + Math.floor(this.#random() * 4_000));
          return effect();
        case 'die':
          return this.#die();
        case 'die_after':
          effect();
          return this.#die();
        case 'slow':
          await this.#sleep(Math.floor(this.#random() * 2_500));
          return effect();
        case 'ok':
          return effect();
      }
    };
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.bench.clock.after(ms, resolve);
    });
  }

  #effect(name: string, plan: StepPlan, { role, context, manager }: Call): unknown {
    const key = context.idempotencyKey;
    if (key !== `${context.sagaId}:${name}`) this.wrongKeys.push(key);
    const undo = role === 'compensation';
    switch (plan.kind) {
      case 'command':
        return undo ? command(Undo, { step: name }) : command(Do, { step: name });
      case 'transactional':
        if (undo) {
          this.outside.undo(key);
          return name;
        }
        if (!(manager instanceof MemoryTransaction))
          throw new TypeError('There is no transaction.');
        this.rows.set(`${key} ${newId()}`, 'written', manager);
        return name;
      case 'local':
        if (undo) this.outside.undo(key);
        else this.outside.apply(key);
        return name;
    }
  }
}
