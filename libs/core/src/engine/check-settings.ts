import { DuplicateSagaError, type SagaDefinition } from '../saga/index.js';
import type { EngineSettings } from './engine-options.js';
import { InvalidEngineSettingError } from './errors.js';

/** The least value of each setting: 0 if it may be switched off, otherwise 1. */
const LEAST: Readonly<Record<keyof EngineSettings, 0 | 1>> = {
  maxInFlight: 1,
  maxSagas: 0,
  maxTransactions: 1,
  ttlMs: 1,
  pollMs: 1,
  ownedCheckMs: 1,
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

/** The greatest value of a setting: timers take no more, and no count is ever meant to be greater. */
const MOST = 2_147_483_647;

/**
 * Refuses impossible settings when the engine is made, since an engine without a permit to run a step,
 * or a poll without a pause, would otherwise be noticed only in production.
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

/** @throws DuplicateSagaError when two definitions have the same name and version */
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
