import { costText, type Cost } from '../cost.js';
import type { BenchServer } from '../server.js';

/** The parameters of a section of the bench. */
export interface Run {
  readonly server: BenchServer;
  /** Prints a line for people. */
  readonly say: (text: string) => void;
  /** The share of the usual number of items that is measured (`--scale`), above 0 and up to 1. */
  readonly scale: number;
}

/** Measures, prints lines for people, and answers what `--json` prints of it. */
export type Section = (run: Run) => Promise<Readonly<Record<string, unknown>>>;

export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** A ratio as people read it. */
export function times(ratio: number, digits = 2): string {
  return `${ratio.toFixed(digits)} ×`;
}

/** The processor time of each item, in brackets. */
export function cpu(cost: Cost | null, server?: string): string {
  return cost === null ? '' : ` (${costText(cost, server)})`;
}

/** Processor time as `--json` prints it: microseconds for each item, null where it is not known. */
export function cpuMicros(cost: Cost | null): { node: number; postgres: number | null } | null {
  if (cost === null) return null;
  return {
    node: Math.round(cost.own),
    postgres: cost.server === null ? null : Math.round(cost.server),
  };
}
