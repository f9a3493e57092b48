import {
  errorMessage,
  settlesWithin,
  storeFailureOf,
  type Broker,
  type Clock,
  type Logger,
  type StoreFailure,
} from '@sagaz/core';
import { detached } from '../enlist/index.js';
import { LateBroker } from './late-broker.js';

export interface ConnectBrokerOptions {
  /** The name of the driver. */
  readonly name: string;
  readonly connect: () => Promise<Broker>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each try that failed and is made again, for metrics. */
  readonly onFailure: (failure: StoreFailure) => void;
}

/**
 * How long the start waits for the first try, in milliseconds, so that a slow broker is connected when
 * it ends.
 */
const FIRST_TRY_MS = 15_000;

/**
 * Connects to the broker. A broker that is away, or does not answer within 15 s, does not hold up the
 * start: a {@link LateBroker} takes its place and tries to connect until it succeeds. A process that
 * is restarted while the broker is down can still do part of its work, and ending it would not bring
 * the broker back.
 *
 * Rejects with the error of the first try if it is a refusal: a wrong password, a missing schema or
 * grant, or a bad certificate does not pass by itself, and mostly appears at a deployment, where a
 * person sees the error.
 */
export async function connectBroker({
  name,
  connect,
  clock,
  logger,
  onFailure,
}: ConnectBrokerOptions): Promise<Broker> {
  const since = clock.now();
  const attempt = (): Promise<Broker> => detached(connect);
  const first = attempt();
  let reason = `it has not answered within ${FIRST_TRY_MS / 1_000} s`;
  // Timers of `clock` do not keep the process alive, and before the start nothing else does.
  const alive = setInterval(() => undefined, 60_000);
  try {
    if (await settlesWithin(first, clock, FIRST_TRY_MS)) return await first;
  } catch (error) {
    if (storeFailureOf(error) !== 'away') throw error;
    reason = errorMessage(error);
  } finally {
    clearInterval(alive);
  }
  logger.warn(
    `The application starts without its broker ${name}, which is away, and connects to it when it is there. Until then messages wait in the outbox, and no messages or replies come. Start the broker, or correct its address.`,
    { error: reason },
  );
  return detached(
    () => new LateBroker({ name, connect: attempt, first, clock, logger, since, onFailure }),
  );
}
