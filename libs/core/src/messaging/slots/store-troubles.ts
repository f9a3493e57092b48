import type { Clock, Logger } from '../../ports/index.js';
import { RepeatedFailure } from '../../retry/index.js';

/** What goes to the store and is tried again until it works, each in its own way. */
export type StoreUse = 'lease' | 'read' | 'due' | 'change' | 'complete' | 'suspect' | 'floor';

const WHAT: Readonly<Record<StoreUse, string>> = {
  lease: 'leasing slots',
  read: 'reading messages',
  due: 'reading messages that are due',
  change: 'writing what became of messages',
  complete: 'removing messages that are done',
  floor: 'asking how far the queue is done',
  suspect: 'clearing the suspicion of a slot',
};

/** Which uses of the store fail now: each until it succeeds again, so that none hides another. */
export class StoreTroubles {
  readonly #failures = new Map<StoreUse, RepeatedFailure>();
  readonly #errors = new Map<StoreUse, unknown>();
  readonly #make: (use: StoreUse) => RepeatedFailure;
  #any = false;

  constructor(options: {
    readonly name: string;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly firstMs: number;
  }) {
    const { name, ...rest } = options;
    this.#make = (use) => new RepeatedFailure({ ...rest, what: `${name}: ${WHAT[use]}` });
  }

  /** Milliseconds for which a use that was refused is better not tried; 0 where it may pass by itself. */
  failed(use: StoreUse, error: unknown): number {
    // Nobody waits for a suspicion to be cleared, and it may be long until it is tried again. A removal
    // may fail for one row alone: whoever removes knows whether that is a problem.
    if (use !== 'suspect' && use !== 'complete') this.#errors.set(use, error);
    this.#any = true;
    let failure = this.#failures.get(use);
    if (failure === undefined) this.#failures.set(use, (failure = this.#make(use)));
    const pauseMs = failure.failed(error);
    return failure.refused ? pauseMs : 0;
  }

  worked(use: StoreUse): void {
    if (!this.#any) return;
    this.#errors.delete(use);
    this.#failures.get(use)?.worked();
  }

  /** One of the errors, or undefined: all is well. */
  get current(): { readonly error: unknown } | undefined {
    for (const error of this.#errors.values()) return { error };
    return undefined;
  }
}
