import { inspect } from 'node:util';
import { Logger as NestLogger } from '@nestjs/common';
import type { LogFields, Logger } from '@sagaz/core';
import { withLogFields } from '../logging/index.js';

function line(message: string, fields: LogFields | undefined): string {
  const facts = Object.entries(fields ?? {}).filter(([, value]) => value !== undefined);
  if (facts.length === 0) return message;
  return `${message} (${facts.map(([name, value]) => `${name}=${String(value)}`).join(', ')})`;
}

const WORK = ['sagaId', 'saga', 'step', 'messageId', 'messageType', 'traceId'] as const;

/** Writes so that a logger that asks for {@link sagazLogFields} finds what the line is about. */
function about(fields: LogFields | undefined, write: () => void): void {
  const known = WORK.flatMap((name) => {
    const value: unknown = fields?.[name];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  withLogFields(Object.fromEntries(known), write);
}

/** Writes to whatever logger the application gave Nest. */
export class NestSagazLogger implements Logger {
  readonly #logger = new NestLogger('Sagaz');

  debug(message: string, fields?: LogFields): void {
    about(fields, () => this.#logger.debug(line(message, fields)));
  }

  info(message: string, fields?: LogFields): void {
    about(fields, () => this.#logger.log(line(message, fields)));
  }

  warn(message: string, fields?: LogFields): void {
    about(fields, () => this.#logger.warn(line(message, fields)));
  }

  error(message: string, fields?: LogFields, cause?: unknown): void {
    const text = line(message, fields);
    about(fields, () => {
      if (cause === undefined) this.#logger.error(text);
      else if (cause instanceof Error) this.#logger.error(`${text}: ${cause.message}`, cause.stack);
      else this.#logger.error(`${text}: ${inspect(cause)}`);
    });
  }
}
