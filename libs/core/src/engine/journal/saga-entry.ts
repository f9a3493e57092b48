import type { ErrorRecord } from '../../errors/index.js';
import type { FinalStatus } from '../../ports/index.js';

/** What a method of the saga class is run for. */
export const ROLES = ['step', 'compensation', 'recovery'] as const;
/** One of `ROLES`: a step, its compensation, or the recovery that asks what an unknown step did. */
export type Role = (typeof ROLES)[number];

/** Headers of W3C Trace Context: `traceparent`, and `tracestate` if there is one. */
export type TraceHeaders = Readonly<Record<string, string>>;

/** A piece of work of a saga: one role of one step. */
export interface TaskRef {
  readonly role: Role;
  readonly step: string;
}

/** Why a saga stops going forward. The first one is the cause, the others are kept beside it. */
export type Failure =
  | { readonly kind: 'step'; readonly step: string; readonly error: ErrorRecord }
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
  /** Nothing waits for it: it was answered, or given up, before. */
  | 'not_awaited'
  /** It names no command that was sent for this step. */
  | 'unknown_command'
  /** It comes from another service than the one that handles the command. */
  | 'wrong_source'
  /** A failure of an attempt that was followed by another. */
  | 'earlier_attempt'
  /** It was taken before. */
  | 'repeated'
  /** It is not signed. */
  | 'unsigned'
  /** It is not signed by a holder of the keys. */
  | 'bad_signature';

interface AttemptOf extends TaskRef {
  readonly attempt: number;
}

/** Entries about one task. In the journal their kind begins with the role: `step_started`. */
export type TaskEntry =
  /** `by` and `epoch` say who runs it; nobody else may. */
  | (AttemptOf & {
      readonly kind: 'started';
      readonly by: string;
      readonly epoch: number;
      readonly generation: number;
    })
  | (AttemptOf & { readonly kind: 'completed'; readonly output: unknown })
  /** Tried again after `delayMs`. `doubt`: it may have had its effect. `reply`: the message that said so. */
  | (AttemptOf & {
      readonly kind: 'attempt_failed';
      readonly error: ErrorRecord;
      readonly delayMs: number;
      readonly doubt: boolean;
      readonly reply?: string;
    })
  /** Failed for good. `doubt`: one of its attempts may have had its effect all the same. */
  | (AttemptOf & { readonly kind: 'failed'; readonly error: ErrorRecord; readonly doubt: boolean })
  /** Nobody can say whether it had its effect, and it will not be tried again. */
  | (AttemptOf & { readonly kind: 'unknown'; readonly error: ErrorRecord })
  /** The command is in the outbox; the reply is awaited for `timeoutMs`. */
  | (AttemptOf & {
      readonly kind: 'sent';
      readonly messageId: string;
      readonly type: string;
      readonly key: string;
      readonly timeoutMs: number;
      /** The service that alone may answer it, where its contract says so. */
      readonly handledBy?: string;
    })
  /** Its process died. Counted; tried again after `delayMs`. */
  | (AttemptOf & { readonly kind: 'crashed'; readonly delayMs: number; readonly doubt: boolean })
  /** Given back in grace. No crash. */
  | (AttemptOf & { readonly kind: 'released'; readonly doubt: boolean })
  /** An attempt that had been abandoned succeeded after all: its effect is there. */
  | (AttemptOf & { readonly kind: 'late_success'; readonly output: unknown });

/** Entries about the saga as a whole. */
export type WholeEntry =
  /** `trace`: the W3C Trace Context of whoever started it, where there was one. */
  | { readonly kind: 'saga_started'; readonly input: unknown; readonly trace?: TraceHeaders }
  | {
      readonly kind: 'adopted';
      readonly by: string;
      readonly from: string | null;
      readonly epoch: number;
    }
  | { readonly kind: 'failing'; readonly failure: Failure }
  | { readonly kind: 'compensating' }
  | { readonly kind: 'parked' }
  | {
      readonly kind: 'mail_ignored';
      readonly mail: string;
      readonly reason: string;
      /** Of a reply: the same reason as a word. */
      readonly code?: IgnoredReply;
    }
  | { readonly kind: 'needs_attention'; readonly reason: AttentionReason; readonly detail: string }
  /**
   * It goes on: a person asked for it, the journal can be read again, or news settled what a person was
   * needed for. `again` gets its attempts anew.
   */
  | { readonly kind: 'retry_requested'; readonly again: readonly TaskRef[] }
  | {
      readonly kind: 'saga_ended';
      readonly status: FinalStatus;
      readonly output: unknown;
      readonly reason: string | null;
    };

/** One thing that happened to a saga. The saga's state is a fold over these. */
export type SagaEntry = TaskEntry | WholeEntry;
