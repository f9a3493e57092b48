import { describe, expect, it } from 'vitest';
import { NonRetryableError, SagaRefusal } from '../../errors/index.js';
import { newId } from '../../ids.js';
import { MemoryTable, MemoryTransaction } from '../../memory/index.js';
import { command, defineCommand } from '../../messaging/index.js';
import { HEADERS, type OutboxMessage } from '../../ports/index.js';
import {
  EngineBench,
  Program,
  type Behaviour,
  type Call,
  type ProgramStep,
} from '../../testing/index.js';
import { replyMail, type SagaEngine } from '../index.js';

const SEEDS = Number(process.env.SAGAZ_SEEDS ?? 250);
const FIRST = Number(process.env.SAGAZ_SEED ?? 1);
const Do = defineCommand<{ step: string }, string>()('party.do');
const Undo = defineCommand<{ step: string }>()('party.undo');

/** A small generator that gives the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Fault = 'ok' | 'slow' | 'throw' | 'final' | 'refuse' | 'hang' | 'deaf' | 'die' | 'die_after';

/** A party outside that is idempotent by key and refuses a key after its undo. */
class Party {
  readonly applied = new Set<string>();
  readonly undone = new Set<string>();
  apply(key: string): void {
    if (this.undone.has(key)) throw new SagaRefusal('undone');
    this.applied.add(key);
  }
  undo(key: string): void {
    this.undone.add(key);
    this.applied.delete(key);
  }
}

interface Plan {
  readonly kind: 'local' | 'transactional' | 'command';
  readonly faults: readonly Fault[];
  readonly undoFaults: readonly Fault[];
  readonly undo: boolean;
  readonly recover: boolean;
  readonly pivot: boolean;
  readonly dependsOn: readonly string[];
}

class Trial {
  readonly random: () => number;
  readonly party = new Party();
  readonly rows = new MemoryTable<string>();
  readonly plans = new Map<string, Plan>();
  readonly program: Program;
  readonly bench: EngineBench;
  readonly events: string[] = [];
  readonly overlaps: string[] = [];
  readonly #running = new Map<string, number>();
  readonly #engines: SagaEngine[] = [];
  readonly #counts = new Map<string, number>();
  readonly #refused = new Set<string>();
  #answered = 0;

  constructor(readonly seed: number) {
    this.random = randomOf(seed);
    const steps: Record<string, ProgramStep> = {};
    const n = 2 + Math.floor(this.random() * 6);
    const pivotAt = this.random() < 0.35 ? Math.floor(this.random() * n) : -1;
    for (let at = 0; at < n; at += 1) {
      const name = String.fromCharCode(97 + at);
      const plan = this.#plan([...this.plans.keys()], at === pivotAt);
      this.plans.set(name, plan);
      steps[name] = this.#step(name, plan);
    }
    this.program = new Program({
      steps,
      maxCrashes: 4,
      failureStrategy: this.#pick(['fail-fast', 'wait-all', 'fail-fast-with-grace']),
      graceMs: 400,
      ...(this.random() < 0.15 ? { deadlineMs: 5_000 + Math.floor(this.random() * 60_000) } : {}),
    });
    this.bench = new EngineBench([this.program]);
  }

  async run(): Promise<void> {
    const { bench } = this;
    this.#engines.push(await bench.engine(this.#settings()), await bench.engine(this.#settings()));
    const [first] = this.#engines;
    if (first === undefined) throw new Error();
    const { id } = await bench.start(first, this.program);
    if (this.random() < 0.1) {
      bench.clock.after(
        Math.floor(this.random() * 2_000),
        () => void first.cancel(id, 'random').catch(() => undefined),
      );
    }
    let status = '';
    for (let round = 0; round < 400; round += 1) {
      await bench.clock.advance(round < 40 ? 250 : 15_000);
      await this.#keepAlive();
      this.#answer();
      status = (await bench.sagas.get(id))?.status ?? '';
      if (['completed', 'compensated', 'partially_committed', 'needs_attention'].includes(status))
        break;
    }
    await bench.clock.advance(200_000);
    this.#answer();
    await bench.clock.advance(20_000);
    status = (await bench.sagas.get(id))?.status ?? '';
    this.#check(id, status, await bench.journal(id));
    await bench.close();
  }

  describe(): string {
    return [...this.plans]
      .map(
        ([name, plan]) =>
          `${name}(${plan.dependsOn.join(',')}) ${plan.kind}${plan.pivot ? ' PIVOT' : ''} ${plan.faults.join('/')}${plan.undo ? ` undo ${plan.undoFaults.join('/')}` : ''}${plan.recover ? ' recover' : ''}`,
      )
      .join('\n');
  }

  #settings(): Parameters<EngineBench['engine']>[0] {
    return { settings: { settleBoundMs: 2_000, maxInFlight: 4, shutdownMs: 3_000 } };
  }

  /** Dead processes are replaced. */
  async #keepAlive(): Promise<void> {
    while (this.#engines.length < 2) this.#engines.push(await this.bench.engine(this.#settings()));
  }

  #die(): void {
    for (const engine of this.#engines.splice(0)) this.bench.kill(engine);
  }

  /** The participant: carries out what is in the outbox, and replies; sometimes twice, late or not. */
  #answer(): void {
    const { sent } = this.bench;
    for (; this.#answered < sent.length; this.#answered += 1) {
      const message = sent[this.#answered];
      if (message === undefined) continue;
      const delay = Math.floor(this.random() * 4_000);
      this.bench.clock.after(delay, () => this.#handle(message));
      if (this.random() < 0.2) this.bench.clock.after(delay + 1_000, () => this.#handle(message));
    }
  }

  #handle(message: OutboxMessage): void {
    const key = message.headers[HEADERS.idempotencyKey] ?? '';
    const step = message.headers[HEADERS.step] ?? '';
    const compensation = message.headers[HEADERS.role] === 'compensation';
    const draw = this.random();
    if (compensation) {
      if (draw < 0.1) return;
      this.events.push(`undo ${step}`);
      this.party.undo(key);
      this.#reply(message, 'ok', null);
      return;
    }
    // Lost, or too late: nobody answers.
    const expiresAt = Date.parse(message.headers[HEADERS.expiresAt] ?? '');
    if (draw < 0.1 || expiresAt <= this.bench.clock.date().getTime()) return;
    // A participant keeps its "no" with the key, as it keeps every reply.
    if (draw < 0.2 || this.#refused.has(key)) {
      if (this.party.applied.has(key)) return;
      this.#refused.add(key);
      this.#reply(message, 'refused', { reason: 'no' });
      return;
    }
    if (draw < 0.3) {
      if (this.random() < 0.5) this.#apply(key);
      this.#reply(message, 'failed', { reason: 'exhausted' });
      return;
    }
    if (this.#apply(key)) this.#reply(message, 'ok', step);
  }

  #apply(key: string): boolean {
    try {
      this.party.apply(key);
      return true;
    } catch {
      return false;
    }
  }

  #reply(to: OutboxMessage, status: string, body: unknown): void {
    const mail = replyMail({
      ...to,
      id: newId(),
      payload: new TextEncoder().encode(JSON.stringify(body)),
      headers: {
        ...to.headers,
        [HEADERS.replyStatus]: status,
        [HEADERS.repliesTo]: to.headers[HEADERS.role] ?? '',
      },
    });
    void this.bench.sagas.putMail([mail]).then(() => this.bench.wakeUps.hint('saga'));
  }

  #pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.random() * all.length)] as T;
  }

  #faults(likely: number): Fault[] {
    return Array.from({ length: 4 }, () =>
      this.random() < likely
        ? this.#pick<Fault>([
            'throw',
            'throw',
            'final',
            'refuse',
            'hang',
            'deaf',
            'die',
            'die_after',
            'slow',
          ])
        : this.#pick<Fault>(['ok', 'ok', 'ok', 'slow']),
    );
  }

  #plan(before: readonly string[], pivot: boolean): Plan {
    const kind = pivot
      ? 'local'
      : this.#pick<Plan['kind']>(['local', 'local', 'transactional', 'command']);
    return {
      kind,
      pivot,
      faults: this.#faults(0.3),
      undoFaults: this.#faults(0.15).filter((fault) => fault !== 'refuse' && fault !== 'final'),
      undo: !pivot && this.random() < 0.75,
      recover: !pivot && this.random() < 0.3,
      dependsOn: before.filter(() => this.random() < 0.4),
    };
  }

  #step(name: string, plan: Plan): ProgramStep {
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

  #behaviour(name: string, plan: Plan, faults: readonly Fault[]): Behaviour {
    return async (call) => {
      const counted = `${call.role} ${name}`;
      const count = this.#counts.get(counted) ?? 0;
      this.#counts.set(counted, count + 1);
      const fault = faults[count] ?? 'ok';
      const effect = (): unknown => this.#effect(name, plan, call);
      switch (fault) {
        case 'throw':
          if (this.random() < 0.5 && call.role === 'compensation') effect();
          throw new Error(`${counted} failed`);
        case 'final':
          throw new NonRetryableError('never');
        case 'refuse':
          throw new SagaRefusal('no');
        case 'hang':
          return this.#tracked(
            counted,
            () =>
              new Promise((_resolve, reject) => {
                call.context.signal.addEventListener('abort', () => reject(new Error('stopped')));
              }),
          );
        case 'deaf':
          return this.#tracked(counted, async () => {
            await this.#sleep(6_000 + Math.floor(this.random() * 4_000));
            return effect();
          });
        case 'die':
          this.#die();
          return new Promise(() => undefined);
        case 'die_after':
          effect();
          this.#die();
          return new Promise(() => undefined);
        case 'slow':
          await this.#sleep(Math.floor(this.random() * 2_500));
          return effect();
        case 'ok':
          return effect();
      }
    };
  }

  async #tracked<T>(counted: string, work: () => Promise<T>): Promise<T> {
    this.#running.set(counted, (this.#running.get(counted) ?? 0) + 1);
    try {
      return await work();
    } finally {
      this.#running.set(counted, (this.#running.get(counted) ?? 1) - 1);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.bench.clock.after(ms, resolve));
  }

  #effect(name: string, plan: Plan, { role, context, manager }: Call): unknown {
    const key = context.idempotencyKey;
    if (key !== `${context.sagaId}:${name}`) this.overlaps.push(`key ${key}`);
    if (role === 'compensation') {
      this.events.push(`undo ${name}`);
      if (plan.kind === 'command') return command(Undo, { step: name });
      this.party.undo(key);
      return;
    }
    switch (plan.kind) {
      case 'command':
        return command(Do, { step: name });
      case 'transactional':
        if (!(manager instanceof MemoryTransaction)) throw new Error('There is no transaction.');
        this.rows.set(`${key} ${newId()}`, 'written', manager);
        return name;
      case 'local':
        this.party.apply(key);
        return name;
    }
  }

  #check(id: string, status: string, journal: readonly string[]): void {
    expect(this.overlaps).toEqual([]);
    const completed = (name: string): number =>
      journal.filter((line) => line === `step_completed ${name}`).length;
    for (const [name, plan] of this.plans) {
      // Local effects exactly once: as many as the journal says, and at most one.
      expect(completed(name), `completions of ${name}`).toBeLessThanOrEqual(1);
      if (plan.kind !== 'transactional') continue;
      const rows = this.rows.entries().filter(([row]) => row.startsWith(`${id}:${name} `)).length;
      expect(rows, `rows of ${name}`).toBe(completed(name));
    }
    const steps = [...this.plans];
    const standing = steps
      .filter(([name]) => this.party.applied.has(`${id}:${name}`))
      .map(([name]) => name);
    switch (status) {
      case 'completed':
        for (const [name, { kind }] of steps) {
          const recovered = journal.includes(`recovery_completed ${name}`);
          if (!recovered) expect(completed(name), `${name} of a completed saga`).toBe(1);
          if (!recovered && kind !== 'transactional') expect(standing).toContain(name);
        }
        expect(this.party.undone.size).toBe(0);
        return;
      case 'compensated':
        for (const [name, plan] of steps) {
          expect(plan.pivot && completed(name) > 0, `pivot ${name}`).toBe(false);
          if (!plan.undo) continue;
          expect(standing, `${name} of a compensated saga`).not.toContain(name);
        }
        this.#checkOrder(journal);
        return;
      case 'partially_committed': {
        const pivot = steps.find(([, plan]) => plan.pivot)?.[0] ?? '';
        expect(completed(pivot)).toBe(1);
        for (const name of [
          pivot,
          ...(this.program.definition.steps.get(pivot)?.ancestors ?? []),
        ]) {
          expect(this.party.undone.has(`${id}:${name}`), `undone behind the pivot: ${name}`).toBe(
            false,
          );
        }
        return;
      }
      case 'needs_attention':
        expect(journal).toContain('needs_attention');
        return;
      default:
        throw new Error(`The saga did not end: ${status}\n${journal.join('\n')}`);
    }
  }

  /** Whatever depends on a step was undone before it, unless its effect came late. */
  #checkOrder(journal: readonly string[]): void {
    for (const [name, step] of this.program.definition.steps) {
      if (journal.includes(`step_late_success ${name}`)) continue;
      const undone = journal.indexOf(`compensation_completed ${name}`);
      if (undone < 0) continue;
      for (const ancestor of step.ancestors) {
        const begun = journal.indexOf(`compensation_started ${ancestor}`);
        if (begun >= 0) expect(begun, `${ancestor} before ${name}`).toBeGreaterThan(undone);
      }
    }
  }
}

describe('random programs', () => {
  it(`of ${SEEDS} seeds from ${FIRST} on all end forward, undone, or parked with a reason`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      const trial = new Trial(seed);
      try {
        await trial.run();
      } catch (error) {
        throw new Error(`SAGAZ_SEED=${seed} SAGAZ_SEEDS=1\n${trial.describe()}\n${String(error)}`, {
          cause: error,
        });
      }
    }
  }, 600_000);
});
