import type { FaultPoint } from '@sagaz/core';

/** The fault that a process meets at a fault point. */
export interface Fault {
  readonly point: FaultPoint;
  /** Only where the point is reached for this: a step, or what an append writes first. */
  readonly subject?: string;
  /** From 1. Default 1. */
  readonly nth?: number;
  /**
   * `kill`: SIGKILL, nothing is cleaned up. `freeze`: SIGSTOP, connections and transactions stay
   * open; the parent wakes it up again.
   */
  readonly action: 'kill' | 'freeze';
}

/** The task of a child process: its one argument, as JSON. */
export interface Scenario {
  readonly url: string;
  readonly fault?: Fault;
  readonly orders: readonly string[];
  /** Notes to publish of each key, those of earlier processes counted. */
  readonly notes: number;
  /** After how many milliseconds its relays try again what was refused. Default 150. */
  readonly retryMs?: number;
  /** Sagas that need attention are retried first, as an operator does. */
  readonly retry?: boolean;
}
