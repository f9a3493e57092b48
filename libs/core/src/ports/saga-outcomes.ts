/** The outcome of one transition. */
export type TransitionOutcome =
  | { readonly kind: 'applied' }
  /** The saga has another owner, or none, or is in a later epoch. */
  | { readonly kind: 'not_owner'; readonly owner: string | null; readonly epoch: number }
  /** The owner is right, but another transition has changed the revision. */
  | { readonly kind: 'conflict'; readonly revision: number }
  /** Another transaction has locked the row, or a key. Nothing was changed; repeat the transition. */
  | { readonly kind: 'busy' }
  /** The database refused this transition's data; nothing of it was written. */
  | { readonly kind: 'rejected'; readonly error: unknown }
  | { readonly kind: 'missing' };

/** The outcome of a transition that is a part of the caller's transaction. */
export type ApplyOutcome =
  | TransitionOutcome
  /** Another transaction has locked the key of a message. Nothing was changed. */
  | { readonly kind: 'key_busy' };

/** The answer of a locking look at a saga whose transition had no answer. */
export type SettledOutcome = TransitionOutcome | { readonly kind: 'not_applied' };

/** The outcome of one start. */
export type StartOutcome =
  | { readonly kind: 'started' }
  /** The key or the id is taken: by this saga. */
  | {
      readonly kind: 'exists';
      readonly id: string;
      readonly inputDigest: string;
      /**
       * Whether it is this very start, whose answer was lost: the id and the transition are the same.
       */
      readonly sameStart: boolean;
    }
  /** Another open transaction starts a saga with this key or id; repeat the start later. */
  | { readonly kind: 'busy' }
  /** The database refused this start's data; nothing of it was written. */
  | { readonly kind: 'rejected'; readonly error: unknown };
