import { sagazLogFields } from '@sagaz/nestjs';
import { Logger, PinoLogger, type Params } from 'nestjs-pino';
import { readConfig } from './config.js';

export const logging: Params = {
  pinoHttp: {
    level: readConfig().LOG_LEVEL,
    // Every line names the saga, the step or the message it was written for.
    mixin: sagazLogFields,
    redact: ['req.headers.authorization', 'req.headers.cookie', 'res.headers["set-cookie"]'],
  },
};

/** The application's logger before there is an application: why it waits for its database is read at once. */
export function firstLogger(): Logger {
  return new Logger(new PinoLogger(logging), logging);
}
