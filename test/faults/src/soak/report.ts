import type { Audit, Findings } from './books.js';
import { BOUNDS } from './bounds.js';
import type { Growth, MemoryGrowth } from './gauges.js';
import type { ProcessFault } from './soak-system.js';

/** The measurements of a run. Null: the run ended before that could be measured. */
export interface Figures {
  readonly seed: number;
  readonly minutes: number;
  readonly orders: number;
  /** Of the orders, those whose start was answered. */
  readonly sagas: number;
  readonly repeatedStarts: number;
  readonly disturbances: Readonly<Record<string, number>>;
  readonly findings: Findings | null;
  /** Seconds after the last disturbance until nothing was left to do. */
  readonly settledAfter: number | null;
  /** Seconds from the start of a saga to its end. */
  readonly longestSaga: number | null;
  /** Seconds in which no saga ended although some were under way. */
  readonly longestStandstill: number;
  /** Seconds for which a message was seen in an outbox, or in a group of the broker, by queue. */
  readonly longestWaits: Readonly<Record<string, number>>;
  /** Of the processes that were spared from kills, by name. */
  readonly memoryMiB: Readonly<Record<string, MemoryGrowth>>;
  readonly connections: Growth;
  readonly connectionsLeft: number | null;
  /** Processes that did not end by themselves after SIGTERM. */
  readonly stuckShutdowns: readonly string[];
  /** Processes that ended although nobody ended them, or left a rejection unhandled. */
  readonly processFaults: readonly ProcessFault[];
}

/** Rows for whoever looks for the cause: of rules of the books by their name, of bounds by that of the figure. */
export type Examples = Audit['examples'] & {
  readonly longestSaga?: readonly object[];
  readonly longestWaits?: readonly object[];
  readonly connectionsLeft?: readonly object[];
  /** Messages that were still there when the wait for them was given up, before any process was ended. */
  readonly settledAfter?: readonly object[];
};

export interface Result extends Figures {
  readonly outcome: 'passed' | 'failed' | 'interrupted';
  readonly ok: boolean;
  /** Every rule that does not hold, as a sentence with its figures. */
  readonly broken: readonly string[];
  readonly examples: Examples;
  /** The folder with the logs of all processes; null where it was removed. */
  readonly logs: string | null;
}

/** Why a run ended before its books were read. */
export type BrokenOff = { readonly interrupted: boolean; readonly why: string };

export function resultOf(
  figures: Figures,
  brokenOff: BrokenOff | null,
  examples: Examples,
  logs: string | null,
): Result {
  const interrupted = brokenOff?.interrupted === true;
  const broken = brokenRules(figures);
  if (brokenOff !== null) broken.unshift(brokenOff.why);
  const ok = broken.length === 0;
  const outcome = interrupted ? 'interrupted' : ok ? 'passed' : 'failed';
  return { outcome, ok, broken, ...figures, examples, logs };
}

/** The figures of a run that ended before anything was measured. */
export const NOTHING_MEASURED: Figures = {
  seed: 0,
  minutes: 0,
  orders: 0,
  sagas: 0,
  repeatedStarts: 0,
  disturbances: {},
  findings: null,
  settledAfter: null,
  longestSaga: null,
  longestStandstill: 0,
  longestWaits: {},
  memoryMiB: {},
  connections: { before: 0, after: 0 },
  connectionsLeft: null,
  stuckShutdowns: [],
  processFaults: [],
};

export function brokenRules(figures: Figures): string[] {
  const { connections: open, stuckShutdowns, findings } = figures;
  const rules: (string | false)[] = Object.entries(findings ?? {}).map(
    ([name, count]) => count !== 0 && `${name} is ${count} instead of 0.`,
  );
  rules.push(
    // A run that was broken off has not had the time for all of its orders.
    findings !== null &&
      figures.sagas < figures.orders &&
      `${figures.orders - figures.sagas} of ${figures.orders} orders could not be started.`,
    isAbove(figures.longestSaga, BOUNDS.sagaTakes) &&
      `The longest saga took ${String(figures.longestSaga)} s, which is more than ${BOUNDS.sagaTakes} s.`,
    isAbove(figures.settledAfter, BOUNDS.settlesAfter) &&
      `What was left after the last disturbance took ${String(figures.settledAfter)} s, which is more than ${BOUNDS.settlesAfter} s.`,
    figures.longestStandstill > BOUNDS.standstill &&
      `No saga ended for ${figures.longestStandstill} s, which is more than ${BOUNDS.standstill} s.`,
    ...Object.entries(figures.longestWaits).map(
      ([queue, seconds]) =>
        seconds > BOUNDS.messageWaits &&
        `A message was in the ${queue} for ${seconds} s, which is more than ${BOUNDS.messageWaits} s.`,
    ),
    ...Object.entries(figures.memoryMiB).flatMap(([process, { heap, rss }]) => [
      grew(heap, BOUNDS.heap) && `The heap of ${process} grew ${fromTo(heap)} MiB.`,
      grew(rss, BOUNDS.rss) && `The memory (RSS) of ${process} grew ${fromTo(rss)} MiB.`,
    ]),
    grew(open, BOUNDS.connections) && `Connections grew ${fromTo(open)}.`,
    isAbove(figures.connectionsLeft, 0) &&
      `${String(figures.connectionsLeft)} connections are open although every process has ended.`,
    stuckShutdowns.length > 0 && `These did not end after SIGTERM: ${stuckShutdowns.join(', ')}.`,
    ...figures.processFaults.map(({ process, what }) => `${process} ${what}`),
  );
  return rules.filter((rule) => rule !== false);
}

function isAbove(value: number | null, bound: number): boolean {
  return value !== null && value > bound;
}

function grew({ before, after }: Growth, slack: { readonly ratio: number; readonly more: number }) {
  return after > before * slack.ratio + slack.more;
}

function fromTo({ before, after }: Growth): string {
  return `from ${before} to ${after}`;
}

/** The details that a person needs to look for the cause, line by line. */
export function details({ broken, examples, processFaults, logs }: Result): readonly string[] {
  return [
    ...broken.map((rule) => `BROKEN: ${rule}`),
    ...processFaults.flatMap(({ process, lastLines }) =>
      lastLines.map((line) => `  last lines of ${process}: ${line}`),
    ),
    ...Object.entries(examples).flatMap(([rule, rows]) =>
      rows.map((row) => `  ${rule}: ${JSON.stringify(row)}`),
    ),
    ...(logs === null ? [] : [`The logs of all processes: ${logs}`]),
  ];
}

/** One line with the figures. */
export function summary(result: Result): string {
  const { findings, connections, outcome } = result;
  const disturbed = Object.values(result.disturbances).reduce((sum, n) => sum + n, 0);
  const wrong = Object.values<number>(findings ?? {}).reduce((sum, n) => sum + n, 0);
  const waits = Object.values(result.longestWaits);
  const memory = Object.entries(result.memoryMiB).map(
    ([process, { heap, rss }]) => `${process} heap ${fromTo(heap)} and RSS ${fromTo(rss)} MiB`,
  );
  return [
    `soak ${outcome === 'passed' ? outcome : outcome.toUpperCase()}: ${result.sagas} sagas, ${disturbed} disturbances`,
    findings === null ? 'the books were not read' : `${wrong} wrong entries in the books`,
    `settled ${secondsText(result.settledAfter)} after the last disturbance`,
    `longest standstill ${result.longestStandstill} s, longest saga ${secondsText(result.longestSaga)}, longest wait of a message ${Math.max(0, ...waits)} s`,
    ...memory,
    `connections ${fromTo(connections)}`,
    `seed ${result.seed}`,
  ].join('; ');
}

function secondsText(seconds: number | null): string {
  return seconds === null ? '(unknown)' : `${seconds} s`;
}
