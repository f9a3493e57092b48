import { NonRetryableError, SagaRefusal } from '../../errors/index.js';
import { command, defineCommand } from '../../messaging/index.js';
import { Program, type Behaviour, type Call, type ProgramStep } from '../program.js';
import type { Fault, SagaPlan, SecondPlan, StepPlan } from './saga-plan.js';

const Do = defineCommand<{ step: string }, string>()('party.do');
const Undo = defineCommand<{ step: string }>()('party.undo');

/** The world that the steps of a trial's sagas act on. Its parts may be in another process. */
export interface TrialWorld {
  readonly outside: {
    /** Does, once per key, what a step is about. */
    apply(key: string): void | Promise<void>;
    undo(key: string): void | Promise<void>;
  };
  readonly random: () => number;
  /** Writes a row of this key in the transaction of a transactional step. */
  write(key: string, manager: unknown): void | Promise<void>;
  sleep(ms: number): Promise<void>;
  /** Ends the process: never settles. */
  die(): Promise<never>;
  /** A call of a step's task begins; answers how many of the same task began before it. */
  called(saga: number, call: Call, step: string): number | Promise<number>;
}

/** The idempotency key that every call of a task must have. */
export function keyOf(sagaId: string, role: Call['role'], step: string): string {
  return `${sagaId}:${step}${role === 'recovery' ? ':recovery' : ''}`;
}

/** The saga of a plan, as an engine runs it. `name`: of its definition, where several processes run it. */
export function programOf(plan: SagaPlan, saga: number, world: TrialWorld, name?: string): Program {
  const steps: Record<string, ProgramStep> = {};
  for (const [step, one] of plan.steps) steps[step] = stepOf(step, one, saga, world);
  return new Program({
    steps,
    ...(name === undefined ? {} : { name }),
    maxCrashes: plan.maxCrashes,
    failureStrategy: plan.strategy,
    graceMs: 400,
    ...(plan.deadlineMs === null ? {} : { deadlineMs: plan.deadlineMs }),
  });
}

function stepOf(name: string, plan: StepPlan, saga: number, world: TrialWorld): ProgramStep {
  const behave = (faults: readonly Fault[]): Behaviour =>
    behaviour(name, plan, faults, saga, world);
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
): Behaviour {
  return async (call) => {
    const task = `${call.role} ${name}`;
    const count = await world.called(saga, call, name);
    const effect = (): Promise<unknown> => effectOf(name, plan, call, world);
    switch (faults[count] ?? 'ok') {
      case 'throw':
        if (call.role === 'compensation' && world.random() < 0.5) await effect();
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
        await effect();
        return world.die();
      case 'slow':
        await world.sleep(Math.floor(world.random() * 2_500));
        return effect();
      case 'ok':
        return effect();
    }
  };
}

async function effectOf(
  name: string,
  plan: StepPlan,
  call: Call,
  world: TrialWorld,
): Promise<unknown> {
  const { role, context, manager } = call;
  const key = context.idempotencyKey;
  const undo = role === 'compensation';
  const { outside } = world;
  if (plan.kind === 'command') {
    return undo ? command(Undo, { step: name }) : command(Do, { step: name });
  }
  if (undo) await outside.undo(key);
  else if (plan.kind === 'local' || role === 'recovery') await outside.apply(key);
  else await world.write(key, manager);
  return name;
}
