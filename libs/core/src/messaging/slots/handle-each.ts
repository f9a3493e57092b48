import { noFaults, type FaultPoints, type QueuedMessage } from '../../ports/index.js';
import type { RowOutcome, SlotWork, TakenRow, WorkSource } from './slot-work.js';

export interface HandleEachOptions {
  /** Rows of different keys worked on at once. */
  readonly concurrency: number;
  /**
   * The signal is aborted when the right to work on the row is lost. `afterDeath`: it may have been
   * what the slot's owner before died of. A rejection is a retry.
   */
  readonly handle: (
    row: QueuedMessage,
    signal: AbortSignal,
    afterDeath: boolean,
  ) => Promise<RowOutcome>;
  /** How long a row waits whose handling rejected, in milliseconds. Default 1,000. */
  readonly retryDelayMs?: number;
  /**
   * While rows wait and none has ended for so many milliseconds, the slots are given up, so that
   * messages are never stuck behind a process that only looks alive. Default 600,000.
   */
  readonly patienceMs?: number;
  readonly faults?: FaultPoints;
}

/** Works on rows one by one: those of one key one after the other, those of different keys at once. */
export function handleEach(options: HandleEachOptions): SlotWork {
  const faults = options.faults ?? noFaults;
  let source: WorkSource | undefined;
  let running = 0;
  let stopped = false;

  async function outcomeOf(taken: TakenRow, signal: AbortSignal): Promise<RowOutcome> {
    try {
      await faults.reach('queue.before-handle', taken.row.message.id);
      const outcome = await options.handle(taken.row, signal, taken.afterDeath);
      await faults.reach('queue.after-handle', taken.row.message.id);
      return outcome;
    } catch (error) {
      return { kind: 'retry', delayMs: options.retryDelayMs ?? 1_000, counts: true, error };
    }
  }

  async function work(from: WorkSource, taken: TakenRow): Promise<void> {
    const outcome = await outcomeOf(taken, from.signalOf(taken));
    running -= 1;
    from.progressed();
    from.settle(taken, outcome);
  }

  return {
    buffer: Math.max(2 * options.concurrency, 16),
    patienceMs: options.patienceMs ?? 600_000,
    attach: (attached) => (source = attached),
    wake() {
      if (source === undefined || stopped) return;
      const free = options.concurrency - running;
      if (free <= 0) return;
      for (const taken of source.take(free, 1, 0)) {
        source.progressed();
        running += 1;
        void work(source, taken);
      }
    },
    stop: () => (stopped = true),
    problem: () => null,
  };
}
