import { AsyncLocalStorage } from 'node:async_hooks';
import { currentTraceId } from '../outbox/index.js';

/** What log lines say about the work they were written in. */
export interface WorkFields {
  readonly sagaId?: string;
  readonly saga?: string;
  readonly step?: string;
  readonly messageId?: string;
  readonly messageType?: string;
  /** From W3C Trace Context, where the message or whoever started the saga brought one. */
  readonly traceId?: string;
}

const surrounding = new AsyncLocalStorage<WorkFields>();

/** Runs `work` so that {@link sagazLogFields} tells these fields in it, besides those around it. */
export function withLogFields<T>(fields: WorkFields, work: () => T): T {
  return surrounding.run({ ...surrounding.getStore(), ...fields }, work);
}

/**
 * The saga, step, message and trace the running code works on; empty outside of steps and handlers.
 * For pino's `mixin`, so that every line has them, whoever writes it:
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
