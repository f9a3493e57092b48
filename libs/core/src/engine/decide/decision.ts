import type { SagaDefinition } from '../../saga/index.js';
import type { OutboxMessage, Ownership, SagaStatus } from '../../ports/index.js';
import type { SagaEntry, TaskRef } from '../journal/index.js';
import { fold, type SagaState } from '../state/index.js';

/** Free places of this engine; counted down as starts are decided. */
export interface FreePermits {
  steps: number;
  transactional: number;
  /** Steps that were running when their process died, and may have killed it: a group at a time. */
  suspects: number;
  /** Those whose next crash is their last: with no other suspect beside them. */
  alone: number;
}

/** Whether a start may be of what killed a process before, and beside whom it may run then. */
export type Suspicion = 'none' | 'group' | 'alone';

/** What a decision needs to know beside the saga itself. Nothing here is looked up later. */
export interface DecisionContext {
  readonly definition: SagaDefinition;
  readonly sagaId: string;
  readonly tenant: string;
  readonly incarnation: string;
  readonly epoch: number;
  /** The store's clock, in milliseconds since 1970. */
  readonly now: number;
  /** Since when this engine has been there without a gap, by the store's clock. */
  readonly backAt: number;
  /** By the store's clock; null: none. */
  readonly deadlineAt: number | null;
  readonly permits: FreePermits;
  /** Whether a promise of this task, or of the step itself, is unsettled in this process. */
  readonly unsettled: (role: TaskRef['role'], step: string) => boolean;
  readonly random: () => number;
  /** CloudEvents source of commands. */
  readonly service: string;
  /** False: no step is started, because the engine drains or cannot prove that it lives. */
  readonly mayStart: boolean;
  /** The engine shuts down: what does not run here is given back. */
  readonly draining: boolean;
  /** Delays below this stay in memory. */
  readonly shortDelayMs: number;
  readonly newMessageId: () => string;
}

/** A start that the transition carries. */
export interface PlannedStart extends TaskRef {
  readonly attempt: number;
  readonly generation: number;
  readonly suspicion: Suspicion;
}

/** What one turn of a saga is going to do. */
export interface Decision {
  readonly next: SagaState;
  readonly entries: readonly SagaEntry[];
  readonly messages: readonly OutboxMessage[];
  readonly consumedMail: readonly string[];
  readonly status: SagaStatus;
  readonly ownership: Ownership;
  /** To run once the transition is committed. */
  readonly starts: readonly PlannedStart[];
  /** Running ones whose result is not wanted any more. */
  readonly aborts: readonly TaskRef[];
  /** Running ones that are asked to stop and to begin again. */
  readonly restarts: readonly TaskRef[];
  /** Something could have been started had there been room. */
  readonly startPostponed: boolean;
  /** The kinds of places there was no room in. */
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
