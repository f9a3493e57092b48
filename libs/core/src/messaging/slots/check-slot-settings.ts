import { InvalidArgumentError } from '../../errors/index.js';
import type { SlotSettings } from './settings.js';

/** The least value of each setting. */
const LEAST: Readonly<Record<keyof SlotSettings, 0 | 1>> = {
  leaseTtlMs: 1,
  pollIntervalMs: 1,
  busyIntervalMs: 0,
  readLimit: 1,
  maxTaken: 1,
  stallAfterMs: 1,
  suspectAfterCrashes: 1,
  suspectSurvivors: 1,
  maxFailedCompletions: 1,
};
/** The greatest value of a setting: timers take no more, and no count is ever meant to be greater. */
const MOST = 2_147_483_647;

/**
 * Refuses impossible settings, since a lease that ends at once, a text instead of a number, or a poll
 * without a pause would otherwise be noticed only in production.
 *
 * @throws InvalidArgumentError
 */
export function checkSlotSettings(name: string, settings: SlotSettings): void {
  checkWholeNumbers(name, settings, LEAST);
}

/** @throws InvalidArgumentError */
export function checkWholeNumbers(
  name: string,
  settings: object,
  least: Readonly<Record<string, 0 | 1>>,
): void {
  const all = new Map<string, unknown>(Object.entries(settings));
  for (const [setting, bound] of Object.entries(least)) {
    const given = all.get(setting);
    if (typeof given === 'number' && Number.isInteger(given) && given >= bound && given <= MOST) {
      continue;
    }
    const remedy = `Give a whole number from ${bound} to ${MOST}, or leave it out.`;
    throw new InvalidArgumentError(name, `settings.${setting}`, given, remedy);
  }
}
