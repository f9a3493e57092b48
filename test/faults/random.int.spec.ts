import { expect, it } from 'vitest';
import { runOnPostgres } from './src/random/index.js';

it('random programs keep their promises while their processes are killed, stopped and cut off', async () => {
  const { failure, disturbances, programs } = await runOnPostgres({
    firstSeed: 1,
    goesOn: (trials) => trials === 0,
    round: { trials: 3, disturbedMs: 8_000 },
    signal: new AbortController().signal,
  });
  expect(failure ?? '').toBe('');
  expect(programs).toBeGreaterThan(3);
  expect(disturbances.size).toBeGreaterThan(0);
}, 600_000);
