import { InvalidArgumentError } from '../../errors/index.js';
import { checkSlotSettings, checkWholeNumbers } from '../slots/index.js';
import { PublishTimeoutTooLongError } from './publish-timeout-too-long.error.js';
import type { RelaySettings } from './relay-settings.js';

const LEAST = {
  batchSize: 1,
  batchBytes: 1,
  concurrentBatches: 1,
  publishTimeoutMs: 1,
  maxPauseMs: 1,
} as const;

/** @throws InvalidArgumentError, PublishTimeoutTooLongError */
export function checkRelaySettings(name: string, settings: RelaySettings): void {
  checkSlotSettings(name, settings);
  checkWholeNumbers(name, settings, LEAST);
  const { attempts } = settings.retry;
  if (!Number.isInteger(attempts) || attempts < 1) {
    const remedy = 'Give a whole number from 1, or leave the retry policy out.';
    throw new InvalidArgumentError(name, 'settings.retry.attempts', attempts, remedy);
  }
  for (const part of ['backoffMs', 'factor', 'maxDelayMs', 'jitter'] as const) {
    const given: unknown = settings.retry[part];
    if (typeof given === 'number' && Number.isFinite(given) && given >= 0) continue;
    const remedy = 'Give a number from 0, or leave the retry policy out.';
    throw new InvalidArgumentError(name, `settings.retry.${part}`, given, remedy);
  }
  if (typeof settings.afterDeadLetter !== 'function') {
    const remedy = "Give a function of the topic that answers 'skip' or 'block', or leave it out.";
    throw new InvalidArgumentError(
      name,
      'settings.afterDeadLetter',
      settings.afterDeadLetter,
      remedy,
    );
  }
  // A lease is renewed after every third of its duration, so at least this part of it is always left.
  if (settings.publishTimeoutMs > settings.leaseTtlMs * 0.6) {
    throw new PublishTimeoutTooLongError(settings.publishTimeoutMs, settings.leaseTtlMs);
  }
}
