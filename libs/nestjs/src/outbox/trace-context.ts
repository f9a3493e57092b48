import { AsyncLocalStorage } from 'node:async_hooks';
import type * as OpenTelemetry from '@opentelemetry/api';
import { parseTraceParent, passableTraceState, type MessageHeaders } from '@sagaz/core';
import { traceStateOf } from './trace-state.js';

type Api = typeof OpenTelemetry;

let api: Api | undefined;

/** Looks once whether the application has OpenTelemetry's API. Without it, Sagaz makes no spans. */
export async function loadTracing(): Promise<void> {
  try {
    api = await import('@opentelemetry/api');
  } catch {
    api = undefined;
  }
}

/**
 * The trace headers of the message that is being handled. A process without OpenTelemetry passes them
 * on unchanged.
 */
const carried = new AsyncLocalStorage<MessageHeaders>();

/** The active span as W3C Trace Context headers; without one, those the running code was called with. */
export function traceHeaders(): MessageHeaders {
  const span = api?.trace.getSpanContext(api.context.active());
  if (api === undefined || span === undefined || !api.isSpanContextValid(span)) {
    return carried.getStore() ?? {};
  }
  const flags = span.traceFlags.toString(16).padStart(2, '0');
  const state = passableTraceState(span.traceState?.serialize());
  return {
    traceparent: `00-${span.traceId}-${span.spanId}-${flags}`,
    ...(state === undefined ? {} : { tracestate: state }),
  };
}

/**
 * Runs `work` as a child of the span that the headers name, or outside of any trace if they name none.
 */
export function withTraceOf<T>(headers: MessageHeaders, work: () => T): T {
  const parent = parseTraceParent(headers.traceparent);
  if (parent === undefined) return carried.run({}, work);
  const { traceparent = '' } = headers;
  const tracestate = passableTraceState(headers.tracestate);
  const inTrace = (): T =>
    carried.run({ traceparent, ...(tracestate === undefined ? {} : { tracestate }) }, work);
  if (api === undefined) return inTrace();
  const remote: OpenTelemetry.SpanContext = {
    ...parent,
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: traceStateOf(tracestate) }),
  };
  return api.context.with(api.trace.setSpanContext(api.context.active(), remote), inTrace);
}

/** The trace id in the headers; undefined: there is none. */
export function traceIdOf(headers: MessageHeaders): string | undefined {
  return parseTraceParent(headers.traceparent)?.traceId;
}

/** The trace the running code belongs to, for log lines; undefined: none. */
export function currentTraceId(): string | undefined {
  return traceIdOf(traceHeaders());
}
