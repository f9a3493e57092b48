// Runs random programs for some minutes: npm run random -- --minutes 30 [--seed 7] [--store both]
//
// Prints the first seed, and programs per second. Ends with 1 at the first program that breaks a promise,
// and with its seed. In memory, time is virtual: the same seed fails again, and the program is made as small
// as it can be. On PostgreSQL the programs run in processes that are killed, stopped and cut off: the same
// seed gives the same programs, and what befalls them is up to the machine. The last round goes on to its end.
import { parseArgs } from 'node:util';
import { describeFailure, runTrials } from '../libs/core/dist/testing/index.js';
import { runOnPostgres } from '../test/faults/dist/random/index.js';

const USAGE = 'npm run random -- [--minutes 1] [--seed 1] [--store memory|postgres|both]';
const LONGEST_MINUTES = 24 * 60;
const TOLD_EVERY_MS = 10_000;

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => interrupted.abort(new Error(`Stopped by ${signal}.`)));
}

/**
 * Where the programs run. Each runs seeds from `firstSeed` on until `goesOn()` says no, tells `onTrial`
 * of each, and answers with the failure as a text, or null.
 */
const stores = {
  memory: async (options) => {
    const { trials, programs, failure } = await runTrials(options);
    return { trials, programs, failure: failure === null ? null : describeFailure(failure) };
  },
  postgres: async (options) => {
    const { disturbances, settledWithin, ...result } = await runOnPostgres({
      ...options,
      signal: interrupted.signal,
    });
    const told = [...disturbances].map(([what, times]) => `${what} ${times} times`);
    console.log(
      `Processes were disturbed: ${told.join(', ')}. Then all had ended within ${settledWithin} s.`,
    );
    return result;
  },
};

function read() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      store: { type: 'string', default: 'both' },
    },
  });
  const minutes = Number(values.minutes);
  if (!(minutes > 0 && minutes <= LONGEST_MINUTES)) {
    throw new Error(
      `--minutes: '${values.minutes}' is no time. Give a number up to ${LONGEST_MINUTES}.`,
    );
  }
  const seed = Number(values.seed);
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new Error(`--seed: '${values.seed}' is no seed. Give a whole number of 0 or more.`);
  }
  const both = Object.keys(stores);
  const chosen = values.store === 'both' ? both : both.filter((one) => one === values.store);
  if (chosen.length === 0) {
    throw new Error(
      `--store: there is no '${values.store}'. Give one of ${both.join(', ')}, or both.`,
    );
  }
  return { minutes, seed, chosen };
}

/** Runs them on one store; whether every promise held. */
async function run(store, { minutes, seed }) {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1_000;
  let toldAt = began;
  console.log(`Random programs on ${store} for ${minutes} min, from seed ${seed} on.`);
  const tell = ({ trials, programs }) => {
    const rate = (programs / seconds()).toFixed(1);
    console.log(
      `${seconds().toFixed(0)} s: ${trials} trials, ${programs} programs, ${rate} programs per second`,
    );
  };
  const result = await stores[store]({
    firstSeed: seed,
    goesOn: (trials) => trials === 0 || (seconds() < minutes * 60 && !interrupted.signal.aborted),
    onTrial: (done) => {
      if (performance.now() - toldAt < TOLD_EVERY_MS) return;
      toldAt = performance.now();
      tell(done);
    },
  });
  tell(result);
  console.log(result.failure === null ? 'Every promise held.' : result.failure);
  return result.failure === null;
}

/** Each of the stores for as long. */
async function main(options) {
  for (const store of options.chosen) {
    if (!(await run(store, options))) return 1;
  }
  return 0;
}

let options;
try {
  options = read();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(USAGE);
  process.exit(2);
}
try {
  process.exitCode = await main(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}
