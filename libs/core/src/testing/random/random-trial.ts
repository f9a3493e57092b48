import type { SagaEngine } from '../../engine/index.js';
import { newId } from '../../ids.js';
import { MemoryTable, MemoryTransaction } from '../../memory/index.js';
import { EngineBench } from '../engine-bench.js';
import type { Call, Program } from '../program.js';
import { checkPeace, checkWaits, type Waits } from './liveness.js';
import { checkSaga, isSettled, type SagaEvidence } from './invariants.js';
import { Outside } from './outside.js';
import { randomOf } from './seeded-random.js';
import { keyOf, programOf, type TrialWorld } from './trial-programs.js';
import { describeTrial, planTrial, type OperatorAct, type TrialPlan } from './trial-plan.js';

/** Within this virtual time after the last start or request every saga has ended or is parked. */
const LONGEST_MS = 30 * 60_000;
const ENGINES = 2;

/**
 * Sagas of random graphs with random faults, side by side on engines with few places. Engines die and
 * are replaced, and operators send requests at random moments. Each saga must end all forward, all
 * undone, or parked with a reason, and every effect must agree with its journal; all places become
 * free again, and no saga is held up by another one.
 */
export class RandomTrial implements TrialWorld {
  readonly plan: TrialPlan;
  /** The writes of transactional steps, by idempotency key. */
  readonly rows = new MemoryTable<string>();
  readonly random: () => number;
  readonly outside: Outside;
  readonly #bench: EngineBench;
  readonly #programs: readonly Program[];
  readonly #engines: SagaEngine[] = [];
  readonly #ids = new Map<number, string>();
  readonly #terminated = new Set<number>();
  readonly #wrongKeys: string[] = [];
  readonly #calls = new Map<string, number>();
  #heard = 0;
  readonly #waits: Waits = { deaths: [], readyAt: new Map(), waits: [] };

  constructor(given: number | TrialPlan) {
    this.plan = typeof given === 'number' ? planTrial(given) : given;
    // A source of its own, so that the random events of the run do not depend on the size of the plan.
    this.random = randomOf(this.plan.seed ^ 0x5bd1e995);
    const programs = this.plan.sagas.map((saga, at) => programOf(saga, at, this));
    this.#programs = programs;
    this.#bench = new EngineBench(programs);
    const { clock, sagas, wakeUps } = this.#bench;
    this.outside = new Outside({
      random: this.random,
      now: () => clock.date(),
      after: (ms, work) => clock.after(ms, work),
      reply: (mail) => void sagas.putMail([mail]).then(() => wakeUps.hint('saga')),
    });
  }

  /** Runs the trial to its end and checks all rules. Throws an error with the seed and the plan. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      const text = `Seed ${this.plan.seed}: ${told}\n${describeTrial(this.plan)}`;
      throw new Error(text, { cause: error });
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#bench.clock.after(ms, resolve);
    });
  }

  die(): Promise<never> {
    this.#waits.deaths.push(this.#bench.clock.now());
    for (const engine of this.#engines.splice(0)) this.#bench.kill(engine);
    return new Promise(() => undefined);
  }

  write(key: string, manager: unknown): void {
    if (!(manager instanceof MemoryTransaction)) throw new TypeError('There is no transaction.');
    this.rows.set(`${key} ${newId()}`, 'written', manager);
  }

  called(saga: number, { role, context }: Call, step: string): number {
    const { sagaId, idempotencyKey } = context;
    if (idempotencyKey !== keyOf(sagaId, role, step)) this.#wrongKeys.push(idempotencyKey);
    const task = `${saga} ${role} ${step}`;
    const before = this.#calls.get(task) ?? 0;
    this.#calls.set(task, before + 1);
    this.#wait(saga);
    return before;
  }

  /** Notes how long the saga without faults has waited for this call. */
  #wait(saga: number): void {
    if (saga !== this.plan.sagas.length - 1) return;
    const { readyAt, waits } = this.#waits;
    const now = this.#bench.clock.now();
    waits.push({ from: readyAt.get(saga) ?? now, to: now });
    readyAt.set(saga, now);
  }

  async #run(): Promise<void> {
    const { clock } = this.#bench;
    await this.#keepAlive();
    for (const [saga, atMs] of this.plan.startsAtMs.entries()) this.#startAt(saga, atMs);
    for (const act of this.plan.acts) this.#askAt(act);
    const last = Math.max(...this.plan.startsAtMs, ...this.plan.acts.map(({ atMs }) => atMs));
    while (clock.now() < last + LONGEST_MS) {
      await clock.advance(clock.now() < 10_000 ? 250 : 5_000);
      await this.#keepAlive();
      this.#answer();
      if (clock.now() > last && (await this.#allSettled())) break;
    }
    // Late effects happen now.
    await clock.advance(30_000);
    await this.#keepAlive();
    this.#answer();
    await clock.advance(60_000);
    for (let saga = 0; saga < this.#programs.length; saga += 1)
      checkSaga(await this.#evidence(saga));
    await checkPeace(this.#bench, this.#engines, [...this.#ids.values()]);
    checkWaits(this.#waits);
    await this.#bench.close();
  }

  /** Passes on the messages that were sent since the last call to the outside world. */
  #answer(): void {
    for (const message of this.#bench.sent.slice(this.#heard)) this.outside.hear(message);
    this.#heard = this.#bench.sent.length;
  }

  #startAt(saga: number, atMs: number): void {
    const program = this.#programs[saga];
    if (program === undefined) return;
    const attempt = (): void => {
      const { clock } = this.#bench;
      const engine = this.#engines[0];
      // No engine lives now, so the start is tried again later.
      if (engine === undefined) {
        clock.after(1_000, attempt);
        return;
      }
      this.#waits.readyAt.set(saga, clock.now());
      void this.#bench.start(engine, program).then(
        ({ id }) => this.#ids.set(saga, id),
        () => undefined,
      );
      // Its process may die before it can report the start; the saga then begins nevertheless, or
      // never.
      clock.after(20_000, () => {
        if (!this.#ids.has(saga)) attempt();
      });
    };
    this.#bench.clock.after(atMs, attempt);
  }

  #askAt({ request, saga, atMs }: OperatorAct): void {
    this.#bench.clock.after(atMs, () => {
      const id = this.#ids.get(saga);
      const engine = this.#engines[0];
      if (id === undefined || engine === undefined) return;
      if (request === 'terminate') this.#terminated.add(saga);
      // Requests are made at random; one that makes no sense is refused.
      void Promise.resolve(engine[request](id, 'random')).catch(() => undefined);
    });
  }

  async #allSettled(): Promise<boolean> {
    for (let saga = 0; saga < this.#programs.length; saga += 1) {
      const id = this.#ids.get(saga);
      if (id === undefined) return false;
      if (!isSettled((await this.#bench.sagas.get(id))?.status)) return false;
    }
    return true;
  }

  async #evidence(saga: number): Promise<SagaEvidence> {
    const id = this.#ids.get(saga) ?? '';
    const plan = this.plan.sagas[saga];
    const program = this.#programs[saga];
    if (plan === undefined || program === undefined)
      throw new TypeError(`There is no saga ${saga}.`);
    const history = await this.#bench.sagas.history(id);
    const rows = this.rows.entries().map(([row]) => row);
    return {
      saga,
      id,
      plan,
      definition: program.definition,
      bystander: saga === this.plan.sagas.length - 1,
      terminated: this.#terminated.has(saga),
      status: (await this.#bench.sagas.get(id))?.status,
      journal: history.map(({ kind, step }) => (step === null ? kind : `${kind} ${step}`)),
      reason: history.findLast(({ kind }) => kind === 'needs_attention')?.data ?? null,
      applied: this.outside.applied,
      undone: this.outside.undone,
      rows,
      wrongKeys: this.#wrongKeys,
    };
  }

  /** Replaces dead engines. */
  async #keepAlive(): Promise<void> {
    while (this.#engines.length < ENGINES) {
      this.#engines.push(await this.#bench.engine({ settings: this.plan.settings }));
    }
  }
}
