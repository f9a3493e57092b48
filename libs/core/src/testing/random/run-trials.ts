import { RandomTrial } from './random-trial.js';
import { smaller } from './shrink.js';
import { describeTrial, planTrial, type TrialPlan } from './trial-plan.js';

export interface RunTrialsOptions {
  readonly firstSeed: number;
  /** Whether another one is begun; asked before each. */
  readonly goesOn: (trials: number) => boolean;
  /** Told after each; a trial runs several programs. */
  readonly onTrial?: (done: { readonly trials: number; readonly programs: number }) => void;
  /** Plans that a failure is tried with at most, to find the smallest. Default 300. */
  readonly shrinks?: number;
}

export interface TrialFailure {
  readonly seed: number;
  readonly error: Error;
  /** The smallest plan found that fails too. */
  readonly plan: TrialPlan;
  readonly smallestError: Error;
}

export interface TrialsResult {
  readonly trials: number;
  readonly programs: number;
  readonly failure: TrialFailure | null;
}

/** Runs trials seed by seed until one fails, which is then made as small as it can be. */
export async function runTrials(options: RunTrialsOptions): Promise<TrialsResult> {
  let trials = 0;
  let programs = 0;
  for (let seed = options.firstSeed; options.goesOn(trials); seed += 1) {
    const plan = planTrial(seed);
    const error = await failureOf(plan);
    trials += 1;
    programs += plan.sagas.length;
    if (error !== null) {
      const smallest = await shrink(plan, error, options.shrinks ?? 300);
      return { trials, programs, failure: { seed, error, ...smallest } };
    }
    options.onTrial?.({ trials, programs });
  }
  return { trials, programs, failure: null };
}

async function failureOf(plan: TrialPlan): Promise<Error | null> {
  try {
    await new RandomTrial(plan).run();
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function shrink(
  from: TrialPlan,
  error: Error,
  most: number,
): Promise<{ readonly plan: TrialPlan; readonly smallestError: Error }> {
  let plan = from;
  let smallestError = error;
  let left = most;
  for (let found = true; found && left > 0;) {
    found = false;
    for (const candidate of smaller(plan)) {
      if (left <= 0) break;
      left -= 1;
      const fails = await failureOf(candidate);
      if (fails === null) continue;
      plan = candidate;
      smallestError = fails;
      found = true;
      break;
    }
  }
  return { plan, smallestError };
}

/** A failure as a person reads it. */
export function describeFailure({ seed, error, plan, smallestError }: TrialFailure): string {
  return [
    `Seed ${seed} fails: ${error.message}`,
    '',
    'The smallest plan found that fails:',
    describeTrial(plan),
    smallestError.message,
  ].join('\n');
}
