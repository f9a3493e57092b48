import type * as OpenTelemetry from '@opentelemetry/api';
import type { MessageHeaders } from '@sagaz/core';
import { traceStateOf } from './trace-state.js';

type Api = typeof OpenTelemetry;

let api: Api | undefined;

/** Looks, once, whether the application has OpenTelemetry's API. Without it nothing is traced. */
export async function loadTracing(): Promise<void> {
  try {
    api = await import('@opentelemetry/api');
  } catch {
    api = undefined;
  }
}

/** The active span as W3C Trace Context headers; none when there is no span. */
export function traceHeaders(): MessageHeaders {
  const span = api?.trace.getSpanContext(api.context.active());
  if (api === undefined || span === undefined || !api.isSpanContextValid(span)) return {};
  const flags = span.traceFlags.toString(16).padStart(2, '0');
  const state = span.traceState?.serialize();
  return {
    traceparent: `00-${span.traceId}-${span.spanId}-${flags}`,
    ...(state === undefined || state === '' ? {} : { tracestate: state }),
  };
}

/** version-format of https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Runs `work` as a child of the span that a message's headers name. */
export function withTraceOf<T>(headers: MessageHeaders, work: () => T): T {
  const match = TRACEPARENT.exec(headers['traceparent'] ?? '');
  const [, version, traceId, spanId, flags, more] = match ?? [];
  // A higher version may say more behind the flags; version 00 must not, and ff is no version.
  if (
    api === undefined ||
    traceId === undefined ||
    spanId === undefined ||
    version === 'ff' ||
    (version === '00' && more !== undefined)
  ) {
    return work();
  }
  const state = headers['tracestate'];
  const remote: OpenTelemetry.SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags ?? '00', 16),
    isRemote: true,
    ...(state === undefined ? {} : { traceState: traceStateOf(state) }),
  };
  if (!api.isSpanContextValid(remote)) return work();
  return api.context.with(api.trace.setSpanContext(api.context.active(), remote), work);
}

/** The trace the running code belongs to, for log lines; undefined: none. */
export function currentTraceId(): string | undefined {
  const span = api?.trace.getSpanContext(api.context.active());
  return span === undefined || api?.isSpanContextValid(span) !== true ? undefined : span.traceId;
}
