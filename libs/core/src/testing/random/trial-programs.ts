import { NonRetryableError, SagaRefusal } from '../../errors/index.js';
import { newId } from '../../ids.js';
import { MemoryTransaction, type MemoryTable } from '../../memory/index.js';
import { command, defineCommand } from '../../messaging/index.js';
import { Program, type Behaviour, type Call, type ProgramStep } from '../program.js';
import type { Outside } from './outside.js';
import type { Fault, SagaPlan, SecondPlan, StepPlan } from './saga-plan.js';

const Do = defineCommand<{ step: string }, string>()('party.do');
const Undo = defineCommand<{ step: string }>()('party.undo');

/** What the steps of a trial's sagas touch. */
export interface TrialWorld {
  readonly outside: Outside;
  /** What transactional steps wrote, by idempotency key. */
  readonly rows: MemoryTable<string>;
  readonly random: () => number;
  sleep(ms: number): Promise<void>;
  /** Ends the process: never settles. */
  die(): Promise<never>;
  /** A call begins, by the name of its step. */
  called(saga: number, call: Call, step: string): void;
}

/** The saga of a plan, as an engine runs it. */
export function programOf(plan: SagaPlan, saga: number, world: TrialWorld): Program {
  const calls = new Map<string, number>();
  const steps: Record<string, ProgramStep> = {};
  for (const [name, step] of plan.steps) steps[name] = stepOf(name, step, saga, world, calls);
  return new Program({
    steps,
    maxCrashes: plan.maxCrashes,
    failureStrategy: plan.strategy,
    graceMs: 400,
    ...(plan.deadlineMs === null ? {} : { deadlineMs: plan.deadlineMs }),
  });
}

function stepOf(
  name: string,
  plan: StepPlan,
  saga: number,
  world: TrialWorld,
  calls: Map<string, number>,
): ProgramStep {
  const behave = (faults: readonly Fault[]): Behaviour =>
    behaviour(name, plan, faults, saga, world, calls);
  const { undo, recover } = plan;
  return {
    dependsOn: plan.dependsOn,
    pivot: plan.pivot,
    transactional: plan.kind === 'transactional',
    timeoutMs: 3_000,
    replyTimeoutMs: 10_000,
    retry: { attempts: 3, backoffMs: 200, factor: 4, maxDelayMs: 5_000 },
    run: behave(plan.faults),
    ...(undo === null ? {} : { undo: behave(undo.faults), undoRetry: retryOf(undo) }),
    ...(recover === null
      ? {}
      : { recover: behave(recover.faults), recoverRetry: retryOf(recover) }),
  };
}

function retryOf({ attempts }: SecondPlan): ProgramStep['undoRetry'] & object {
  return { attempts, backoffMs: 200, factor: 2, maxDelayMs: 2_000 };
}

function behaviour(
  name: string,
  plan: StepPlan,
  faults: readonly Fault[],
  saga: number,
  world: TrialWorld,
  calls: Map<string, number>,
): Behaviour {
  return async (call) => {
    const task = `${call.role} ${name}`;
    const count = calls.get(task) ?? 0;
    calls.set(task, count + 1);
    world.called(saga, call, name);
    const effect = (): unknown => effectOf(name, plan, call, world);
    switch (faults[count] ?? 'ok') {
      case 'throw':
        if (call.role === 'compensation' && world.random() < 0.5) effect();
        throw new Error(`${task} failed`);
      case 'final':
        throw new NonRetryableError('never');
      case 'refuse':
        throw new SagaRefusal('no');
      case 'hang':
        return new Promise((_resolve, reject) => {
          call.context.signal.addEventListener('abort', () => reject(new Error('stopped')));
        });
      case 'never':
        return new Promise(() => undefined);
      case 'deaf':
        await world.sleep(6_000 + Math.floor(world.random() * 4_000));
        return effect();
      case 'die':
        return world.die();
      case 'die_after':
        effect();
        return world.die();
      case 'slow':
        await world.sleep(Math.floor(world.random() * 2_500));
        return effect();
      case 'ok':
        return effect();
    }
  };
}

function effectOf(name: string, plan: StepPlan, call: Call, world: TrialWorld): unknown {
  const { role, context, manager } = call;
  const key = context.idempotencyKey;
  const undo = role === 'compensation';
  const { outside } = world;
  if (plan.kind === 'command') {
    return undo ? command(Undo, { step: name }) : command(Do, { step: name });
  }
  if (undo) outside.undo(key);
  else if (plan.kind === 'local' || role === 'recovery') outside.apply(key);
  else {
    if (!(manager instanceof MemoryTransaction)) throw new TypeError('There is no transaction.');
    world.rows.set(`${key} ${newId()}`, 'written', manager);
  }
  return name;
}
