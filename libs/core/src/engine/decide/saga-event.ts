import type { Command } from '../../messaging/index.js';
import type { Mail } from '../../ports/index.js';
import type { ErrorRecord, TaskRef } from '../journal/index.js';

/** How an attempt that ran in this process ended. */
export type AttemptResult =
  | { readonly kind: 'completed'; readonly output: unknown }
  /** The method returned a command. */
  | { readonly kind: 'command'; readonly command: Command; readonly message: PreparedCommand }
  /** Tried again while the policy allows it. `doubt`: it may have had its effect. */
  | {
      readonly kind: 'failed';
      readonly error: ErrorRecord;
      readonly doubt: boolean;
      readonly final: boolean;
    }
  /** Given back: the process shuts down. `doubt`: it may go on and have its effect. */
  | { readonly kind: 'released'; readonly doubt: boolean };

/** What is decided about a command before the transition that sends it. */
export interface PreparedCommand {
  readonly payload: Uint8Array;
  readonly contentType: string;
}

/** News for a saga, to be folded into its next transition. */
export type SagaEvent =
  | (TaskRef & {
      readonly kind: 'settled';
      /** Matched with the journal: the same engine may have adopted the saga anew meanwhile. */
      readonly attempt: number;
      readonly epoch: number;
      readonly result: AttemptResult;
    })
  /** A promise that had been given up came back with success. */
  | (TaskRef & {
      readonly kind: 'late_success';
      readonly attempt: number;
      readonly output: unknown;
    })
  | { readonly kind: 'mail'; readonly mail: Mail }
  /** The saga was taken over, or found: what its journal shows as running does not run. */
  | { readonly kind: 'adopted'; readonly from: string | null }
  /** The store refuses what the saga wants to journal, whatever is left out. */
  | { readonly kind: 'refused'; readonly detail: string };
