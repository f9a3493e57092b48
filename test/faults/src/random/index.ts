import type { TrialDisturbance } from './disturbances.js';
import { Fleet } from './fleet.js';
import { Round, type RoundSize } from './round.js';

const USUAL: RoundSize = { trials: 16, disturbedMs: 25_000 };

export interface RandomOnPostgresOptions {
  readonly firstSeed: number;
  /** Whether another round is begun; asked before each. */
  readonly goesOn: (trials: number) => boolean;
  /** Told after each round. */
  readonly onTrial?: (done: { readonly trials: number; readonly programs: number }) => void;
  /** Default: 16 trials that are disturbed for 25 s. */
  readonly round?: RoundSize;
  /** Ends it all at once. */
  readonly signal: AbortSignal;
}

export interface RandomOnPostgresResult {
  readonly trials: number;
  readonly programs: number;
  readonly disturbances: ReadonlyMap<TrialDisturbance, number>;
  /** Seconds from the last disturbance of a round to the end of its last saga, at most. */
  readonly settledWithin: number;
  /** The first promise that was broken, with the seed and the plan; null: none. */
  readonly failure: string | null;
}

/**
 * Runs random programs on a PostgreSQL of its own, by engine processes that are killed, stopped for longer
 * than their lease and continued, and cut off, round by round until a promise is broken. Every process
 * and the server end with this one.
 */
export async function runOnPostgres(
  options: RandomOnPostgresOptions,
): Promise<RandomOnPostgresResult> {
  const fleet = await Fleet.open();
  const killNow = (): void => fleet.killNow();
  process.once('exit', killNow);
  const disturbances = new Map<TrialDisturbance, number>();
  let trials = 0;
  let programs = 0;
  let settledMs = 0;
  let failure: string | null = null;
  try {
    while (failure === null && options.goesOn(trials)) {
      const first = options.firstSeed + trials;
      const round = new Round(fleet, first, options.round ?? USUAL, options.signal);
      failure = await failureOf(round, options.signal);
      trials += round.trials.length;
      programs += round.programs;
      settledMs = Math.max(settledMs, round.settledAfterMs);
      for (const what of round.disturbances) {
        disturbances.set(what, (disturbances.get(what) ?? 0) + 1);
      }
      options.onTrial?.({ trials, programs });
    }
    if (failure !== null) failure += `\nThe logs of all processes: ${fleet.logFolder}`;
    const settledWithin = Math.round(settledMs / 1_000);
    return { trials, programs, disturbances, settledWithin, failure };
  } finally {
    await fleet.close(failure !== null);
    process.off('exit', killNow);
  }
}

async function failureOf(round: Round, signal: AbortSignal): Promise<string | null> {
  try {
    await round.run();
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error.message : String(error);
  }
}
