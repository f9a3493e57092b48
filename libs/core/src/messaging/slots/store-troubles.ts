import type { Clock, Logger } from '../../ports/index.js';
import { RepeatedFailure } from '../../retry/index.js';

/** The uses of the store that are repeated until they succeed. */
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

/**
 * Records which uses of the store fail now, each until it succeeds again, so that none hides another.
 */
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

  /**
   * Notes a failure. Returns for how many milliseconds a refused use should not be tried; 0 if the
   * failure may pass by itself.
   */
  failed(use: StoreUse, error: unknown): number {
    // A failure to clear a suspicion is no problem, since nothing waits for it. A removal may fail for
    // one row alone, so the completion pump decides whether that is a problem.
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

  /** One of the errors; undefined: no use fails. */
  get current(): { readonly error: unknown } | undefined {
    for (const error of this.#errors.values()) return { error };
    return undefined;
  }
}
