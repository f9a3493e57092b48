/** What goes to the store and is tried again until it works, each in its own way. */
export type StoreUse = 'read' | 'due' | 'change' | 'complete';

/** Which uses of the store fail now: each until it succeeds again, so that none hides another. */
export class StoreTroubles {
  readonly #errors = new Map<StoreUse, unknown>();

  failed(use: StoreUse, error: unknown): void {
    this.#errors.set(use, error);
  }

  worked(use: StoreUse): void {
    if (this.#errors.size > 0) this.#errors.delete(use);
  }

  /** One of the errors, or undefined: all is well. */
  get current(): { readonly error: unknown } | undefined {
    for (const error of this.#errors.values()) return { error };
    return undefined;
  }
}
