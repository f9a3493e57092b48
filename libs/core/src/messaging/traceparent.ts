/** A position in a trace, as in the header `traceparent`. */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Eight bits. */
  readonly traceFlags: number;
}

/** https://www.w3.org/TR/trace-context/#tracestate-limits: longer values need not be passed on. */
const LONGEST_STATE = 512;
const MOST_MEMBERS = 32;

/**
 * Returns a `tracestate` that may be passed on; undefined: there is none, or it is longer than 512
 * characters, has more than 32 members, or contains characters that no header may have. It is dropped
 * then and never leads to an error.
 */
export function passableTraceState(text: unknown): string | undefined {
  if (typeof text !== 'string' || text === '' || text.length > LONGEST_STATE) return undefined;
  if (!/^[\t\x20-\x7e]+$/.test(text) || text.split(',').length > MOST_MEMBERS) return undefined;
  return text;
}

/** version-format of https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** Reads a `traceparent`; undefined: there is none, or W3C Trace Context does not allow it. */
export function parseTraceParent(text: string | undefined): TraceParent | undefined {
  const match = TRACEPARENT.exec(text ?? '');
  const [, version, traceId, spanId, flags, more] = match ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  // A higher version may have more fields behind the flags; version 00 must not, and ff is no version.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags ?? '00', 16) };
}
