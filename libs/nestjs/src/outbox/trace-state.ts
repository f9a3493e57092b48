import type { TraceState } from '@opentelemetry/api';

/** Reads the `tracestate` of a message, an ordered list of `key=value`, and keeps it unchanged. */
export function traceStateOf(header: string): TraceState {
  const entries = header
    .split(',')
    .map((entry) => entry.trim().split('='))
    .filter((parts): parts is [string, string] => parts.length === 2 && parts[0] !== '');
  return traceState(entries);
}

function traceState(entries: readonly (readonly [string, string])[]): TraceState {
  const without = (key: string) => entries.filter(([name]) => name !== key);
  return {
    get: (key) => entries.find(([name]) => name === key)?.[1],
    // The newest goes first, as W3C Trace Context asks.
    set: (key, value) => traceState([[key, value], ...without(key)]),
    unset: (key) => traceState(without(key)),
    serialize: () => entries.map(([name, value]) => `${name}=${value}`).join(','),
  };
}
