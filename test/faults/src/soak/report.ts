import type { Findings } from './books.js';
import type { Growth } from './gauges.js';

export interface Result {
  readonly ok: boolean;
  readonly broken: readonly string[];
  readonly seed: number;
  readonly minutes: number;
  readonly sagas: number;
  readonly repeatedStarts: number;
  readonly disturbances: Readonly<Record<string, number>>;
  readonly findings: Findings;
  /** Seconds after the last disturbance until nothing was left to do. */
  readonly settledAfter: number;
  readonly longestSaga: number;
  /** Seconds in which no saga ended although some were under way. */
  readonly longestStandstill: number;
  readonly heapMiB: Growth;
  readonly connections: Growth;
  readonly connectionsLeft: number;
  /** Processes that did not end by themselves after SIGTERM. */
  readonly stuckShutdowns: readonly string[];
}

/** A frozen or cut-off owner, its lease, and a server that recovers: longer than all of them together. */
const STANDSTILL_MOST = 90;
/** A garbage-collected heap is never quite the same twice. */
const HEAP_SLACK = { ratio: 1.5, mib: 16 };
const CONNECTION_SLACK = { ratio: 1.25, more: 10 };

/** Every rule that does not hold, as a sentence with its figures. */
export function brokenRules(result: Omit<Result, 'ok' | 'broken'>): string[] {
  const rules: (string | false)[] = Object.entries(result.findings).map(
    ([name, count]) => count !== 0 && `${name} is ${String(count)} instead of 0.`,
  );
  const { heapMiB: heap, connections: open, stuckShutdowns } = result;
  rules.push(
    result.longestStandstill > STANDSTILL_MOST &&
      `No saga ended for ${String(result.longestStandstill)} s, which is more than ${String(STANDSTILL_MOST)} s.`,
    heap.after > heap.before * HEAP_SLACK.ratio + HEAP_SLACK.mib &&
      `The largest heap grew from ${String(heap.before)} to ${String(heap.after)} MiB.`,
    open.after > open.before * CONNECTION_SLACK.ratio + CONNECTION_SLACK.more &&
      `Connections grew from ${String(open.before)} to ${String(open.after)}.`,
    result.connectionsLeft > 0 &&
      `${String(result.connectionsLeft)} connections are open although every process has ended.`,
    stuckShutdowns.length > 0 && `These did not end after SIGTERM: ${stuckShutdowns.join(', ')}.`,
  );
  return rules.filter((rule) => rule !== false);
}

/** One line with the figures. */
export function summary(result: Result): string {
  const { findings, heapMiB, connections } = result;
  const disturbed = Object.values(result.disturbances).reduce((sum, n) => sum + n, 0);
  const wrong = Object.values<number>({ ...findings }).reduce((sum, n) => sum + Math.abs(n), 0);
  return [
    `soak ${result.ok ? 'passed' : 'FAILED'}: ${String(result.sagas)} sagas, ${String(disturbed)} disturbances`,
    `${String(wrong)} wrong entries in the books`,
    `settled ${String(result.settledAfter)} s after the last disturbance`,
    `longest standstill ${String(result.longestStandstill)} s, longest saga ${String(result.longestSaga)} s`,
    `heap ${String(heapMiB.before)} to ${String(heapMiB.after)} MiB`,
    `connections ${String(connections.before)} to ${String(connections.after)}`,
    `seed ${String(result.seed)}`,
  ].join('; ');
}
