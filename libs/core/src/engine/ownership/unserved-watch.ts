import type { Logger, SagaStore, UnservedSagas } from '../../ports/index.js';

export interface UnservedWatchOptions {
  readonly store: Pick<SagaStore, 'unserved'>;
  readonly logger: Logger;
  /**
   * Sagas that have waited for less than this are not reported, since an engine may just be restarting.
   */
  readonly olderThanMs: number;
  readonly onFound: (found: readonly UnservedSagas[]) => void;
}

/** The most rows of each kind that one look reads. */
const MOST_SAGAS = 1_000;

/**
 * Finds due sagas of definitions that no living engine runs: an old version that was taken out of every
 * process while its sagas waited, or a saga whose service is not deployed. No other part would report
 * them, because an engine asks only for sagas that it can run.
 */
export class UnservedWatch {
  readonly #options: UnservedWatchOptions;
  /** The definitions that were warned of and are still not served. */
  #told = new Set<string>();
  #found: readonly UnservedSagas[] = [];

  constructor(options: UnservedWatchOptions) {
    this.#options = options;
  }

  /** The sagas that the latest look found. */
  get found(): readonly UnservedSagas[] {
    return this.#found;
  }

  async look(): Promise<void> {
    const { store, olderThanMs, onFound } = this.#options;
    this.#found = await store.unserved({ olderThanMs, limit: MOST_SAGAS });
    onFound(this.#found);
    this.#tell();
  }

  /** Logs one warning for each definition, and a line when it is served again. */
  #tell(): void {
    const { logger } = this.#options;
    const there = new Set<string>();
    for (const { name, version, count, more, oldestMs, example } of this.#found) {
      const key = nameOf(name, version);
      there.add(key);
      if (this.#told.has(key)) continue;
      const sagas = `${more ? 'at least ' : ''}${String(count)}`;
      logger.warn(
        `Sagas of ${key} are due, and no living engine runs that version: ${sagas}, the oldest since ${String(Math.round(oldestMs / 1_000))} s. Deploy a process that has this version among its sagas until they have ended, or end each of them with terminate.`,
        { saga: name, version, count, more, oldestMs: Math.round(oldestMs), example },
      );
    }
    for (const key of this.#told) {
      if (!there.has(key)) logger.info(`No sagas of ${key} wait for an engine any more.`);
    }
    this.#told = there;
  }
}

function nameOf(name: string, version: number): string {
  return `'${name}', version ${String(version)},`;
}
