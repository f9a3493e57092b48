import { isRole, TaskMap, type Role, type TaskRef } from '../journal/index.js';
import { errorIn, isData, textIn, type EntryData } from './entry-data.js';

/** Why a saga needs a person or does not go forward, as far as its entries tell. */
export interface SagaReason {
  /**
   * Why a person must act (as in the journal: `compensation_failed`, …); otherwise why the saga does not go
   * forward any more (`step_failed`, `cancelled`, `deadline`); null: nothing is wrong.
   */
  readonly reason: string | null;
  /** The reason in words; null: there is nothing to add. */
  readonly detail: string | null;
  /** The step that the reason is about; null: there is none, or it is about the whole saga. */
  readonly step: string | null;
  /** The item of the step that the reason is about; null: the step has none, or there is no step. */
  readonly item: string | null;
}

/** A reason, without the step that it is about. */
type Words = Omit<SagaReason, 'step' | 'item'>;

const NO_TASK = { step: null, item: null };
const NOTHING: SagaReason = Object.freeze({ reason: null, detail: null, ...NO_TASK });

/**
 * Finds the reason from entries that are taken in order. What an entry says that cannot be read is not
 * known, so it never replaces what earlier entries said.
 */
export class ReasonFinder {
  /** Why a person must act. It lasts until the saga goes on. */
  #attention: Words | null = null;
  /** Why the saga was told to stop: it was cancelled, or its deadline is over. It lasts for ever. */
  #stop: SagaReason | null = null;
  /** The steps that have failed and were neither recovered nor begun again, oldest first. */
  readonly #failed = new TaskMap<SagaReason>();
  /** The step of each role that gave up last; of steps, the last whose outcome is unknown. */
  readonly #gaveUp = new Map<Role, TaskRef>();

  get reason(): SagaReason {
    const [failed = NOTHING] = Array.from(this.#failed, ([, reason]) => reason);
    if (this.#attention === null) return this.#stop ?? failed;
    // While the saga is parked, a late reply may repeat the entry of the step that gave up.
    const role = roleOf(this.#attention.reason);
    const { step, item } = (role === null ? undefined : this.#gaveUp.get(role)) ?? NO_TASK;
    return { ...this.#attention, step, item };
  }

  takeTask(kind: string, ref: TaskRef, data: EntryData): void {
    const { role, step, item } = ref;
    const forward: TaskRef = { ...ref, role: 'step' };
    switch (kind) {
      case 'failed':
      case 'unknown':
        if (role !== 'step' || kind === 'unknown') this.#gaveUp.set(role, ref);
        if (role === 'step') {
          this.#failed.set(ref, { reason: 'step_failed', detail: errorIn(data), step, item });
        }
        return;
      case 'started':
        // It failed before, and a person let it begin again.
        if (role === 'step') this.#failed.delete(forward);
        return;
      case 'completed':
        if (role !== 'compensation') this.#failed.delete(forward);
        return;
      default:
        return;
    }
  }

  takeWhole(kind: string, data: EntryData): void {
    switch (kind) {
      case 'needs_attention':
        this.#attention = attentionIn(data) ?? this.#attention;
        return;
      case 'failing':
        this.#stop = stopIn(data['failure']) ?? this.#stop;
        return;
      case 'retry_requested':
        this.#attention = null;
        for (const ref of tasksIn(data['again'])) {
          if (ref.role === 'step') this.#failed.delete(ref);
        }
        return;
      case 'compensating':
        this.#attention = null;
        return;
      default:
        return;
    }
  }
}

function attentionIn(data: EntryData): Words | null {
  const reason = textIn(data, 'reason');
  return reason === null ? null : { reason, detail: textIn(data, 'detail') };
}

/** The role whose task gave up, if a person is needed for this reason; null: it is about the saga. */
function roleOf(reason: string | null): Role | null {
  switch (reason) {
    case 'compensation_failed':
      return 'compensation';
    case 'recovery_failed':
      return 'recovery';
    case 'pivot_unknown':
      return 'step';
    default:
      return null;
  }
}

function stopIn(failure: unknown): SagaReason | null {
  if (!isData(failure)) return null;
  switch (failure['kind']) {
    case 'step':
      return {
        reason: 'step_failed',
        detail: errorIn(failure),
        step: textIn(failure, 'step'),
        item: textIn(failure, 'item'),
      };
    case 'cancelled':
      return { reason: 'cancelled', detail: textIn(failure, 'reason'), ...NO_TASK };
    case 'deadline':
      return { reason: 'deadline', detail: null, ...NO_TASK };
    default:
      return null;
  }
}

function tasksIn(again: unknown): readonly TaskRef[] {
  if (!Array.isArray(again)) return [];
  return again.flatMap((task: unknown) => {
    if (!isData(task)) return [];
    const [role, step] = [textIn(task, 'role'), textIn(task, 'step')];
    return role !== null && isRole(role) && step !== null
      ? [{ role, step, item: textIn(task, 'item') }]
      : [];
  });
}
