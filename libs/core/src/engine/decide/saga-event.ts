import type { Command, EncodedPayload } from '../../messaging/index.js';
import type { Mail } from '../../ports/index.js';
import type { ErrorRecord, TaskRef } from '../journal/index.js';

/** How an attempt that ran in this process ended. */
export type AttemptResult =
  | { readonly kind: 'completed'; readonly output: unknown }
  /** The method returned something to wait for. */
  | { readonly kind: 'waits'; readonly request: WaitRequest }
  /**
   * The attempt failed; another one follows while the policy allows it. `doubt`: it may have had its
   * effect.
   */
  | {
      readonly kind: 'failed';
      readonly error: ErrorRecord;
      readonly doubt: boolean;
      readonly final: boolean;
    }
  /**
   * The attempt was given back because the process shuts down. `doubt`: it may go on and have its
   * effect.
   */
  | { readonly kind: 'released'; readonly doubt: boolean };

/** The wait that an attempt asks for by the value that its method returns. */
export type WaitRequest =
  /** A command is sent, and its reply is awaited. Its payload was encoded before the transition that sends it. */
  { readonly kind: 'reply'; readonly command: Command; readonly message: EncodedPayload };

/** Something that happened to a saga and that its next transition takes into account. */
export type SagaEvent =
  | (TaskRef & {
      readonly kind: 'settled';
      /** Matched with the journal: the same engine may have adopted the saga anew meanwhile. */
      readonly attempt: number;
      readonly epoch: number;
      readonly result: AttemptResult;
    })
  /** An attempt that had been abandoned has succeeded. */
  | (TaskRef & {
      readonly kind: 'late_success';
      readonly attempt: number;
      readonly output: unknown;
    })
  | { readonly kind: 'mail'; readonly mail: Mail }
  /**
   * The saga was loaded, from a dead engine (`from`) or because it belongs to this one: tasks that its
   * journal shows as running are not running.
   */
  | { readonly kind: 'adopted'; readonly from: string | null }
  /** The store rejects the entries that the saga has to journal, even without their data. */
  | { readonly kind: 'refused'; readonly detail: string };
