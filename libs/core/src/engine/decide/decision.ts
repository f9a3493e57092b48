import type { SagaDefinition } from '../../saga/index.js';
import type { OutboxMessage, Ownership, SagaStatus } from '../../ports/index.js';
import type { SagaEntry, TaskRef } from '../journal/index.js';
import { fold, type SagaState } from '../state/index.js';

/** Free permits of this engine to run steps; counted down as starts are decided. */
export interface FreePermits {
  steps: number;
  transactional: number;
  /**
   * For crash suspects, which were running when their process died and may have killed it: they run in
   * groups.
   */
  suspects: number;
  /**
   * For suspects whose next crash is the last that is allowed: each runs with no other suspect beside
   * it.
   */
  alone: number;
}

/**
 * Whether a step may have killed a process before, and which steps may run beside it therefore: `none`
 * any, `group` other suspects too, `alone` no other suspect.
 */
export type Suspicion = 'none' | 'group' | 'alone';

/**
 * Everything that a decision depends on beside the state of the saga. All of it is read before the
 * decision begins.
 */
export interface DecisionContext {
  readonly definition: SagaDefinition;
  readonly sagaId: string;
  readonly tenant: string;
  readonly incarnation: string;
  readonly epoch: number;
  /** The store's clock, in milliseconds since 1970. */
  readonly now: number;
  /** Since when this engine has held its lease without a gap, by the store's clock. */
  readonly backAt: number;
  /** By the store's clock; null: none. */
  readonly deadlineAt: number | null;
  readonly permits: FreePermits;
  /** Whether a promise of this task, or of the step itself, is unsettled in this process. */
  readonly unsettled: (task: TaskRef) => boolean;
  readonly random: () => number;
  /** CloudEvents source of commands. */
  readonly service: string;
  /** False: no step is started, because the engine drains or cannot prove that it lives. */
  readonly mayStart: boolean;
  /**
   * Until when the task is not started, by the store's clock, because the store refused its last commits,
   * or because the row of the saga was locked; 0: it may start.
   */
  readonly postponedUntil: (task: TaskRef) => number;
  /** The saga has mail that only a newer engine can read: it is given back once nothing of it is running here. */
  readonly handsOver: boolean;
  /** The engine shuts down: sagas of which nothing is running here are given back. */
  readonly draining: boolean;
  /** A saga that waits for less than this stays in memory; in milliseconds. */
  readonly shortDelayMs: number;
  readonly newMessageId: () => string;
}

/** An attempt that begins once the transition is committed. */
export interface PlannedStart extends TaskRef {
  readonly attempt: number;
  readonly suspicion: Suspicion;
  /** Since when it could have been started, by the store's clock in milliseconds. */
  readonly dueSince: number;
}

/**
 * The outcome of {@link decide}: the entries of the next transition and what follows once it is
 * committed.
 */
export interface Decision {
  readonly next: SagaState;
  readonly entries: readonly SagaEntry[];
  readonly messages: readonly OutboxMessage[];
  readonly consumedMail: readonly string[];
  readonly status: SagaStatus;
  readonly ownership: Ownership;
  /** To run once the transition is committed. */
  readonly starts: readonly PlannedStart[];
  /** Running attempts whose result is not wanted any more. */
  readonly aborts: readonly TaskRef[];
  /** Running attempts that are asked to stop and to begin again. */
  readonly restarts: readonly TaskRef[];
  /** A task could have been started if permits had been free and the engine not draining. */
  readonly startPostponed: boolean;
  /** The kinds of permits that the saga waits for. */
  readonly waitingFor: ReadonlySet<keyof FreePermits>;
  /** When to look again although nothing happens; by the store's clock; null: never. */
  readonly wakeAt: number | null;
}

/** A decision in the making: entries are folded into the state as they are added. */
export class Draft {
  readonly entries: SagaEntry[] = [];
  readonly messages: OutboxMessage[] = [];
  readonly consumedMail: string[] = [];
  readonly starts: PlannedStart[] = [];
  readonly aborts: TaskRef[] = [];
  readonly restarts: TaskRef[] = [];
  startPostponed = false;
  readonly waitingFor = new Set<keyof FreePermits>();
  wakeAt: number | null = null;

  constructor(
    readonly state: SagaState,
    readonly context: DecisionContext,
  ) {}

  add(entry: SagaEntry): void {
    this.entries.push(entry);
    fold(this.state, entry, this.context.now);
  }

  wakeBy(at: number): void {
    if (this.wakeAt === null || at < this.wakeAt) this.wakeAt = at;
  }
}
