import { Logger as NestLogger } from '@nestjs/common';
import {
  errorMessage,
  errorRecord,
  oneLine,
  redact,
  type ErrorRecord,
  type LogFields,
  type Logger,
} from '@sagaz/core';
import { withLogFields } from '../logging/index.js';

/**
 * Makes a text safe for the log: it stays on one line, whatever foreign text is in it, and shows no
 * password.
 */
function safe(text: string): string {
  return oneLine(redact(text));
}

function line(message: string, fields: LogFields | undefined): string {
  const facts = Object.entries(fields ?? {}).filter(([, value]) => value !== undefined);
  if (facts.length === 0) return safe(message);
  return safe(
    `${message} (${facts.map(([name, value]) => `${name}=${String(value)}`).join(', ')})`,
  );
}

/**
 * Makes a stack safe for the log: each frame keeps its line, and the error's text before them becomes
 * one line.
 */
function safeStack({ stack, message }: ErrorRecord): string | undefined {
  if (stack === undefined) return undefined;
  const at = stack.indexOf(message);
  const end = at === -1 ? 0 : at + message.length;
  const frames = stack.slice(end).split('\n').map(safe).join('\n');
  return safe(stack.slice(0, end)) + frames;
}

const WORK = ['sagaId', 'saga', 'step', 'messageId', 'messageType', 'traceId'] as const;

/** Writes a line in a context in which {@link sagazLogFields} returns the fields of that line. */
function about(fields: LogFields | undefined, write: () => void): void {
  const known = WORK.flatMap((name) => {
    const value: unknown = fields?.[name];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  withLogFields(Object.fromEntries(known), write);
}

/** Writes to the logger that the application gave Nest. */
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
      else {
        const record = errorRecord(cause);
        this.#logger.error(`${text}: ${safe(errorMessage(cause))}`, safeStack(record));
      }
    });
  }
}
