import { AsyncLocalStorage } from 'node:async_hooks';
import { Logger } from '@nestjs/common';
import { BaseRpcExceptionFilter } from '@nestjs/microservices';

const attempts = new AsyncLocalStorage<true>();
const quieted = new WeakSet<Logger>();

/**
 * Runs the attempt of a handler without Nest logging its failure. Nest's last filter logs every error
 * that no other filter took as ERROR with its stack, which would fill the log with alarms about
 * attempts that are repeated a moment later. The attempt itself logs how it ended: one WARN line if it
 * is repeated, an ERROR if the message is given up. The application's own filters see the error as
 * usual.
 */
export function withoutNestsReport<T>(attempt: () => T): T {
  quiet();
  return attempts.run(true, attempt);
}

/** Nest offers no other way, since a filter of Sagaz would come before those of the application. */
function quiet(): void {
  const logger: unknown = Reflect.get(BaseRpcExceptionFilter, 'logger');
  if (!(logger instanceof Logger) || quieted.has(logger)) return;
  quieted.add(logger);
  const error = logger.error.bind(logger) as (...given: unknown[]) => void;
  Object.defineProperty(logger, 'error', {
    configurable: true,
    writable: true,
    value: (...given: unknown[]): void => {
      if (attempts.getStore() !== true) error(...given);
    },
  });
}
