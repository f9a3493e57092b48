// Runs random programs for some minutes: npm run random -- --minutes 30 [--seed 7] [--on memory]
//
// Prints the first seed, and programs per second. Ends with 1 at the first program that breaks a promise,
// made as small as it can be, and with its seed; the same seed fails again.
import { parseArgs } from 'node:util';
import { describeFailure, runTrials } from '../libs/core/dist/testing/index.js';

const USAGE = 'npm run random -- [--minutes 1] [--seed 1] [--on memory]';
const LONGEST_MINUTES = 24 * 60;
const TOLD_EVERY_MS = 10_000;

/**
 * Where the programs run. Each runs seeds from `firstSeed` on until `goesOn()` says no, tells `onTrial`
 * of each, and answers with the failure as a text, or null.
 */
const places = {
  memory: async (options) => {
    const { trials, programs, failure } = await runTrials(options);
    return { trials, programs, failure: failure === null ? null : describeFailure(failure) };
  },
};

function read() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      on: { type: 'string', default: 'memory' },
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
  if (!Object.hasOwn(places, values.on)) {
    throw new Error(
      `--on: there is no '${values.on}'. Give one of ${Object.keys(places).join(', ')}.`,
    );
  }
  return { minutes, seed, on: values.on };
}

async function main({ minutes, seed, on }) {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1_000;
  let toldAt = began;
  console.log(`Random programs on ${on} for ${minutes} min, from seed ${seed} on.`);
  const tell = ({ trials, programs }) => {
    const rate = (programs / seconds()).toFixed(1);
    console.log(
      `${seconds().toFixed(0)} s: ${trials} trials, ${programs} programs, ${rate} programs per second`,
    );
  };
  const result = await places[on]({
    firstSeed: seed,
    goesOn: (trials) => trials === 0 || seconds() < minutes * 60,
    onTrial: (done) => {
      if (performance.now() - toldAt < TOLD_EVERY_MS) return;
      toldAt = performance.now();
      tell(done);
    },
  });
  tell(result);
  if (result.failure === null) {
    console.log('Every promise held.');
    return 0;
  }
  console.error(result.failure);
  return 1;
}

try {
  process.exitCode = await main(read());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(USAGE);
  process.exitCode = 2;
}
