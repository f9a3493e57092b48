import type { Logger } from '../ports/index.js';
import { guardedLogger } from './guarded-logger.js';
import { guardedObserver } from './guarded-observer.js';

/** An object that a user gives to be told of events. */
interface Told {
  readonly logger: Logger;
  readonly observer?: object;
}

/** Options with their logger and observer guarded; `what` names the observer, see {@link guardedObserver}. */
export function guarded<Options extends Told>(what: string, options: Options): Options {
  const logger = guardedLogger(options.logger);
  if (options.observer === undefined) return { ...options, logger };
  return { ...options, logger, observer: guardedObserver(what, options.observer, logger) };
}
