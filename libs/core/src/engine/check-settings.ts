import { DuplicateSagaError, type SagaDefinition } from '../saga/index.js';
import type { EngineSettings } from './engine-options.js';
import { InvalidEngineSettingError } from './errors.js';

/** The least that makes sense: of what may be none, and of what may not. */
const LEAST: Readonly<Record<keyof EngineSettings, 0 | 1>> = {
  maxInFlight: 1,
  maxSagas: 0,
  maxTransactions: 1,
  ttlMs: 1,
  pollMs: 1,
  ownedCheckMs: 1,
  unservedCheckMs: 1,
  flushers: 1,
  flushShare: 1,
  flushGroup: 1,
  stuckMs: 1,
  settleBoundMs: 0,
  shortDelayMs: 0,
  maxStarts: 1,
  startWaitMs: 0,
  maxWaits: 1,
  shutdownMs: 0,
};

/** Timers take no more, and nothing of what is counted here is ever meant to be more. */
const MOST = 2_147_483_647;

/**
 * An engine with no place to run a step, or a poll without a pause, would be found out in production.
 *
 * @throws InvalidEngineSettingError
 */
export function checkSettings(settings: EngineSettings): void {
  const least = new Map<string, number>(Object.entries(LEAST));
  for (const [name, given] of Object.entries(settings)) {
    const bound = least.get(name) ?? null;
    if (bound !== null && Number.isInteger(given) && given >= bound && given <= MOST) continue;
    throw new InvalidEngineSettingError(name, given, bound);
  }
}

/** @throws DuplicateSagaError when two would run the same sagas */
export function checkDefinitions(definitions: readonly SagaDefinition[]): void {
  const known = new Map<string, SagaDefinition>();
  for (const one of definitions) {
    const other = known.get(`${one.name} ${String(one.version)}`);
    if (other !== undefined && other !== one) {
      const classes = [other.sagaClass.name, one.sagaClass.name] as const;
      throw new DuplicateSagaError(one.name, one.version, classes);
    }
    known.set(`${one.name} ${String(one.version)}`, one);
  }
}
