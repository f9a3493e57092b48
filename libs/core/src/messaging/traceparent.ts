/** Where in a trace something happened, as the header `traceparent` says it. */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Eight bits. */
  readonly traceFlags: number;
}

/** version-format of https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** Reads a `traceparent`; undefined: there is none, or it is none that W3C Trace Context allows. */
export function parseTraceParent(text: string | undefined): TraceParent | undefined {
  const match = TRACEPARENT.exec(text ?? '');
  const [, version, traceId, spanId, flags, more] = match ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  // A higher version may say more behind the flags; version 00 must not, and ff is no version.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags ?? '00', 16) };
}
