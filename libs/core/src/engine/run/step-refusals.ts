import type { Clock, Logger } from '../../ports/index.js';
import { RepeatedFailures } from '../../retry/index.js';
import type { FactStream } from '../facts/index.js';
import { taskText, type TaskRef } from '../journal/index.js';

const FIRST_PAUSE_MS = 500;
/** The longest pause, in ms. Each try adds entries to the journal, which must not grow for nothing. */
const LONGEST_PAUSE_MS = 30_000;

/**
 * Follows the transactional steps that cannot commit, because the application's role lacks a grant on
 * the tables of the store. The engine's own statements, which may run as another role, succeed
 * meanwhile. The step is not at fault, so no attempt is counted. After each refusal there is a growing
 * pause in which no saga starts that step, so that it takes no permits from others.
 */
export class StepRefusals {
  readonly #failures: RepeatedFailures;

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly facts: FactStream;
  }) {
    const { clock, logger, facts } = options;
    this.#failures = new RepeatedFailures({
      clock,
      logger,
      onFailure: (failure) => {
        if (facts.wants('store_failed')) facts.tell({ kind: 'store_failed', failure });
      },
      firstMs: FIRST_PAUSE_MS,
      maxMs: LONGEST_PAUSE_MS,
    });
  }

  /** The problem in words, for readiness; null: no step was refused lately. */
  get problem(): string | null {
    return this.#failures.problem;
  }

  /** The milliseconds for which the task should not be started; 0: it may be. */
  pauseLeftMs(saga: string, task: TaskRef): number {
    // This is asked for every start of every step.
    if (this.#failures.empty) return 0;
    return this.#failures.of(workOf(saga, task))?.pauseLeftMs ?? 0;
  }

  /** Notes that the store refused a step. */
  refused(saga: string, task: TaskRef, error: unknown): void {
    this.#failures.failed(workOf(saga, task), error);
  }

  committed(saga: string, task: TaskRef): void {
    if (!this.#failures.empty) this.#failures.worked(workOf(saga, task));
  }
}

function workOf(saga: string, task: TaskRef): string {
  return `Committing the ${taskText(task)} of the saga '${saga}'`;
}
