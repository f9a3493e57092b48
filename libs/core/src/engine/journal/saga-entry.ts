import type { ErrorRecord } from '../../errors/index.js';
import type { FinalStatus } from '../../ports/index.js';

/** The roles of a method of the saga class. */
export const ROLES = ['step', 'compensation', 'recovery'] as const;
/** One of `ROLES`: a step, its compensation, or the recovery that asks what an unknown step did. */
export type Role = (typeof ROLES)[number];

export function isRole(text: string): text is Role {
  return ROLES.some((role) => role === text);
}

/** A task in a sentence: `compensation 'reserve'`, or `step 'pack' of item 'line-1'`. */
export function taskText({ role, step, item }: TaskRef): string {
  return item === null ? `${role} '${step}'` : `${role} '${step}' of item '${item}'`;
}

/** Headers of W3C Trace Context: `traceparent`, and `tracestate` if there is one. */
export type TraceHeaders = Readonly<Record<string, string>>;

/** A task, which is a piece of work of a saga: one role of one step, or of one item of the step. */
export interface TaskRef {
  readonly role: Role;
  readonly step: string;
  /** Tells the tasks of a step apart that is done for several items; null: the step is done once. */
  readonly item: string | null;
}

/** The task of a step that is done once. */
export function stepTask(role: Role, step: string): TaskRef {
  return { role, step, item: null };
}

/** The task of something that says more than which task it is of. */
export function taskRef({ role, step, item }: TaskRef): TaskRef {
  return { role, step, item };
}

/** Why a saga stops going forward. The first one is the cause, the others are kept beside it. */
export type Failure =
  | {
      readonly kind: 'step';
      readonly step: string;
      /** The item of the step that failed; null: the step has none. */
      readonly item: string | null;
      readonly error: ErrorRecord;
    }
  | { readonly kind: 'cancelled'; readonly reason: string }
  | { readonly kind: 'deadline' };

/** Why a person must act. */
export type AttentionReason =
  | 'compensation_failed'
  | 'recovery_failed'
  | 'pivot_unknown'
  | 'definition_changed'
  | 'late_effect'
  | 'journal_refused'
  | 'journal_unreadable';

/** Why a reply does not count. */
export type IgnoredReply =
  /** It cannot be read. */
  | 'unreadable'
  /** No task waits for it: the command was answered, or the task given up, before. */
  | 'not_awaited'
  /** It names no command that was sent for this step. */
  | 'unknown_command'
  /** It comes from another service than the one that handles the command. */
  | 'wrong_source'
  /** A failure of an attempt that was followed by another. */
  | 'earlier_attempt'
  /** The same reply was taken into account before. */
  | 'repeated'
  /** It is not signed. */
  | 'unsigned'
  /** It is not signed by a holder of the keys. */
  | 'bad_signature';

/** The event that a task waits for. A version reads no journal with a wait of a kind that it does not know. */
export type Awaited =
  /** The reply to a command, which is in the outbox. */
  {
    readonly kind: 'reply';
    readonly messageId: string;
    readonly type: string;
    readonly key: string;
    /** The only service that may answer it; absent: the contract names none. */
    readonly handledBy?: string;
  };

interface AttemptOf extends TaskRef {
  readonly attempt: number;
}

/** Entries about one task. In the journal their kind begins with the role: `step_started`. */
export type TaskEntry =
  /** An attempt was started. `by` and `epoch` name the incarnation that runs it; no other may. */
  | (AttemptOf & {
      readonly kind: 'started';
      readonly by: string;
      readonly epoch: number;
    })
  | (AttemptOf & { readonly kind: 'completed'; readonly output: unknown })
  /**
   * An attempt failed; the next one follows after `delayMs`. `doubt`: it may have had its effect.
   * `reply`: the message that reported the failure.
   */
  | (AttemptOf & {
      readonly kind: 'attempt_failed';
      readonly error: ErrorRecord;
      readonly delayMs: number;
      readonly doubt: boolean;
      readonly reply?: string;
    })
  /** The task failed for good. `doubt`: one of its attempts may have had its effect all the same. */
  | (AttemptOf & { readonly kind: 'failed'; readonly error: ErrorRecord; readonly doubt: boolean })
  /** It is unknown whether the task had its effect, and it will not be tried again. */
  | (AttemptOf & { readonly kind: 'unknown'; readonly error: ErrorRecord })
  /** The attempt has ended, and the task waits for what `for` says, for at most `timeoutMs`. */
  | (AttemptOf & {
      readonly kind: 'waiting';
      readonly for: Awaited;
      readonly timeoutMs: number;
    })
  /**
   * The process that ran the task died. The crash is counted; the task is tried again after `delayMs`.
   */
  | (AttemptOf & { readonly kind: 'crashed'; readonly delayMs: number; readonly doubt: boolean })
  /** The attempt was given back in an orderly way, which does not count as a crash. */
  | (AttemptOf & { readonly kind: 'released'; readonly doubt: boolean })
  /** An attempt that had already been abandoned has succeeded: its effect is there. */
  | (AttemptOf & { readonly kind: 'late_success'; readonly output: unknown });

/** Of an entry that a person's request brought about. */
interface Requested {
  /** The one who asked, as the application named them; absent: nobody asked, or no name was given. */
  readonly actor?: string;
}

/** Entries about the saga as a whole. */
export type WholeEntry =
  /** The saga was started. `trace`: the W3C Trace Context of the caller, if it had one. */
  | { readonly kind: 'saga_started'; readonly input: unknown; readonly trace?: TraceHeaders }
  | {
      readonly kind: 'adopted';
      readonly by: string;
      readonly from: string | null;
      readonly epoch: number;
    }
  | (Requested & { readonly kind: 'failing'; readonly failure: Failure })
  | { readonly kind: 'compensating' }
  | { readonly kind: 'parked' }
  | (Requested & {
      readonly kind: 'mail_ignored';
      readonly mail: string;
      readonly reason: string;
      /** The reason as a code; only for replies. */
      readonly code?: IgnoredReply;
    })
  | { readonly kind: 'needs_attention'; readonly reason: AttentionReason; readonly detail: string }
  /**
   * The saga goes on: a person asked for it, the journal can be read again, or an event settled the
   * question for which a person was needed. The tasks in `again` get their attempts anew.
   */
  | (Requested & {
      readonly kind: 'retry_requested';
      readonly again: readonly TaskRef[];
      /** The reason that the operator gave, which may be empty; absent: no operator asked. */
      readonly reason?: string;
    })
  | (Requested & {
      readonly kind: 'saga_ended';
      readonly status: FinalStatus;
      readonly output: unknown;
      readonly reason: string | null;
    });

/**
 * An entry of the journal: one thing that happened to a saga. The state of the saga is computed from
 * its entries.
 */
export type SagaEntry = TaskEntry | WholeEntry;
