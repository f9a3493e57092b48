import type { HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { errorMessage, redact, storeFailureOf, type BrokerHealth } from '@sagaz/core';
import { BrokerAbsentError } from '../broker/index.js';

/**
 * For how long a broker that was there may be away before a process that needs it is not ready, in ms. A
 * broker that restarts or elects a leader is back by then, and no message is lost meanwhile; otherwise every
 * process of every service would leave its traffic at the same moment.
 */
const FORGIVEN_MS = 10_000;

/** Makes the indicator of the broker's health. @param stops - whether this process stops without the broker */
export function brokerIndicator(
  indicator: ReturnType<HealthIndicatorService['check']>,
  health: BrokerHealth,
  stops: () => boolean,
): HealthIndicatorResult {
  if (health.state === 'up') return indicator.up();
  const problem = redact(errorMessage(health.error));
  if (isRefusal(health.error)) return indicator.down(problem);
  if (!stops()) {
    return indicator.up({ message: `away, and nothing here stops without it: ${problem}` });
  }
  return isForgiven(health)
    ? indicator.up({ message: `away for a moment: ${problem}` })
    : indicator.down(problem);
}

/** Whether the broker refused: because of a wrong password, or a missing schema or grant. */
function isRefusal(error: unknown): boolean {
  return error instanceof BrokerAbsentError
    ? error.failure === 'refused'
    : storeFailureOf(error) === 'refused';
}

/**
 * Whether a process that needs the broker may be ready all the same: it has been away for a moment only. One that
 * was never connected has no work under way that could go on, and a refusal passes by nothing but a person.
 */
export function isForgiven({ error, forMs }: Extract<BrokerHealth, { state: 'down' }>): boolean {
  return forMs < FORGIVEN_MS && !(error instanceof BrokerAbsentError) && !isRefusal(error);
}
