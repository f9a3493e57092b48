import { describe, it } from 'vitest';
import { RandomTrial } from '../../testing/index.js';

/** `SAGAZ_SEED=646 SAGAZ_SEEDS=1` runs one of them again. */
const SEEDS = Number(process.env.SAGAZ_SEEDS ?? 250);
const FIRST = Number(process.env.SAGAZ_SEED ?? 1);

describe('random programs', () => {
  it(`of ${SEEDS} seeds from ${FIRST} on end all forward, all undone, or parked with a reason`, async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) await new RandomTrial(seed).run();
  }, 600_000);
});
