import { describe, expect, it } from 'vitest';
import { describeFailure, runTrials } from '../../testing/index.js';

/** `SAGAZ_SEED=646 SAGAZ_SEEDS=1` runs one of them again; `npm run random` runs many. */
const SEEDS = Number(process.env.SAGAZ_SEEDS ?? 40);
const FIRST = Number(process.env.SAGAZ_SEED ?? 1);

describe('random programs', () => {
  it(`of ${SEEDS} seeds from ${FIRST} on end all forward, all undone, or parked with a reason`, async () => {
    const { failure } = await runTrials({
      firstSeed: FIRST,
      goesOn: (trials) => trials < SEEDS,
      shrinks: 60,
    });
    expect(failure === null ? '' : describeFailure(failure)).toBe('');
  }, 600_000);
});
