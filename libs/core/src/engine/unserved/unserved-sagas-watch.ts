import { guardedCall, guardedLogger } from '../../observers/index.js';
import {
  FORMAT,
  type Clock,
  type Logger,
  type SagaStore,
  type Timer,
  type UnservedSagas,
} from '../../ports/index.js';
import { OptionalLook } from '../../retry/index.js';

export interface UnservedSagasWatchOptions {
  readonly store: Pick<SagaStore, 'unserved'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Called after every look with the due sagas that no living engine runs, by definition; also when
   * there are none, so that a gauge returns to 0. Null: the store refuses the look to this process. An
   * error that it throws is logged.
   */
  readonly observer?: (found: readonly UnservedSagas[] | null) => void;
  /**
   * How often to look, in ms. Sagas that have waited for less than this are not reported, since an
   * engine may just be restarting. Default 30,000.
   */
  readonly everyMs?: number;
}

const EVERY_MS = 30_000;
/** The most rows of each kind that one look reads. */
const MOST_SAGAS = 1_000;
/** A look counts only if the one before it ended at most so many intervals ago. */
const LONGEST_GAP = 1.5;

/**
 * Looks regularly for due sagas of definitions that no living engine runs: an old version that was
 * taken out of every process while its sagas waited, or a service whose engines are all gone. No engine
 * would report them, because an engine asks only for sagas that it can run. So every process looks that
 * has the store, whether it has an engine or not.
 */
export class UnservedSagasWatch {
  readonly #options: UnservedSagasWatchOptions;
  readonly #everyMs: number;
  readonly #logger: Logger;
  readonly #look: OptionalLook;
  /** The definitions that were warned of and are still not served. */
  #told = new Set<string>();
  #found: readonly UnservedSagas[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | null = null;
  #stopped = false;

  constructor(options: UnservedSagasWatchOptions) {
    this.#options = options;
    this.#everyMs = options.everyMs ?? EVERY_MS;
    this.#logger = guardedLogger(options.logger);
    this.#look = new OptionalLook({
      clock: options.clock,
      logger: this.#logger,
      what: 'Looking for sagas that no engine runs',
      everyMs: this.#everyMs,
    });
  }

  /** The sagas that the latest look found. */
  get found(): readonly UnservedSagas[] {
    return this.#found;
  }

  /** Whether the store refuses the look to this process, so that nothing is known of its sagas. */
  get refused(): boolean {
    return this.#look.refused;
  }

  /** Looks after one interval, when the engines that start now have registered, and then regularly. */
  start(): void {
    this.#lookedAt = this.#options.clock.now();
    this.#arm();
  }

  /** Stops. Nothing more is reported, not even by a look under way. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(this.#everyMs, () => {
      void this.#round().then(() => this.#arm());
    });
  }

  async #round(): Promise<void> {
    const { store, clock } = this.#options;
    // The database was away, or this process stood still. The same may have held up the heartbeats of
    // the engines, so this look could take living engines for dead.
    const afterGap = clock.now() - this.#lookedAt > this.#everyMs * LONGEST_GAP;
    const result = await this.#look.ask(() =>
      store.unserved({ olderThanMs: this.#everyMs, limit: MOST_SAGAS }),
    );
    if (this.#stopped) return;
    switch (result.kind) {
      case 'answer':
        this.#lookedAt = clock.now();
        if (!afterGap) this.#tell(result.value);
        return;
      case 'refused':
        this.#found = [];
        this.#observe(null);
        return;
      case 'failed':
        // The sagas that were found before stay known, because nothing says that they are served now.
        return;
    }
  }

  /** Logs one warning for each definition, and a line when it is served again. */
  #tell(found: readonly UnservedSagas[]): void {
    this.#found = found;
    this.#observe(found);
    const there = new Set<string>();
    for (const { name, version, format, count, more, oldestMs, example } of found) {
      const key = nameOf(name, version, format);
      there.add(key);
      if (this.#told.has(key)) continue;
      const sagas = `${more ? 'at least ' : ''}${String(count)}`;
      this.#logger.warn(
        `Sagas of ${key} are due, and no living engine runs that version: ${sagas}, the oldest since ${String(Math.round(oldestMs / 1_000))} s. Deploy a process that has this version among its sagas until they have ended, or end each of them with terminate.`,
        { saga: name, version, format, count, more, oldestMs: Math.round(oldestMs), example },
      );
    }
    for (const key of this.#told) {
      if (!there.has(key)) this.#logger.info(`No sagas of ${key} wait for an engine any more.`);
    }
    this.#told = there;
  }

  #observe(found: readonly UnservedSagas[] | null): void {
    guardedCall(
      () => this.#options.observer?.(found),
      (error) => this.#logger.error('An observer of unserved sagas failed.', {}, error),
    );
  }
}

function nameOf(name: string, version: number, format: number): string {
  const newer = format > FORMAT ? ` written by a newer Sagaz (format ${String(format)}),` : '';
  return `'${name}', version ${String(version)},${newer}`;
}
