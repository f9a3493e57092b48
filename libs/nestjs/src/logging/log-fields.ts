import { AsyncLocalStorage } from 'node:async_hooks';
import { currentTraceId } from '../outbox/index.js';

/** The fields of log lines about the work during which they were written. */
export interface WorkFields {
  readonly sagaId?: string;
  readonly saga?: string;
  readonly step?: string;
  readonly messageId?: string;
  readonly messageType?: string;
  /** The trace id of W3C Trace Context, if the message or the start of the saga carried one. */
  readonly traceId?: string;
}

const surrounding = new AsyncLocalStorage<WorkFields>();

/**
 * Runs `work` in a context in which {@link sagazLogFields} returns these fields beside those of the
 * surrounding context.
 */
export function withLogFields<T>(fields: WorkFields, work: () => T): T {
  return surrounding.run({ ...surrounding.getStore(), ...fields }, work);
}

/**
 * Returns the saga, step, message and trace that the running code works on; empty outside of steps and
 * handlers. Use it as pino's `mixin`, so that every log line has these fields:
 *
 * ```ts
 * LoggerModule.forRoot({ pinoHttp: { mixin: sagazLogFields } })
 * ```
 */
export function sagazLogFields(): Record<string, string> {
  const fields: Record<string, string> = { ...surrounding.getStore() };
  const traceId = currentTraceId();
  if (traceId !== undefined) fields['traceId'] = traceId;
  return fields;
}
