import { errorText } from '../errors/index.js';
import type { Logger } from '../ports/index.js';
import { guardedCall } from './guarded-call.js';

const guarded = new WeakSet<Logger>();

/**
 * The same logger, whose methods never throw and leave no rejected promise: a line that cannot be written
 * stops no saga and no message. The first failure of a logger is told on the standard error, as a warning
 * of the process with the code `SAGAZ_LOGGER_FAILED`.
 */
export function guardedLogger(logger: Logger): Logger {
  if (guarded.has(logger)) return logger;
  let told = false;
  const write = (message: string, call: () => unknown): void => {
    guardedCall(call, (error) => {
      if (told) return;
      told = true;
      process.emitWarning(
        `The logger given to Sagaz failed (${errorText(error)}), so this line and perhaps others are lost: ${message}`,
        { code: 'SAGAZ_LOGGER_FAILED' },
      );
    });
  };
  const result: Logger = {
    debug: (message, fields) => write(message, () => logger.debug(message, fields)),
    info: (message, fields) => write(message, () => logger.info(message, fields)),
    warn: (message, fields) => write(message, () => logger.warn(message, fields)),
    error: (message, fields, cause) => write(message, () => logger.error(message, fields, cause)),
  };
  guarded.add(result);
  return result;
}
