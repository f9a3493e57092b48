import { errorMessage, storeFailureOf } from '../errors/index.js';
import type { Clock, Logger } from '../ports/index.js';
import { RepeatedFailure } from './repeated-failure.js';

export interface OptionalLookOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The activity, as the subject of log lines: `Looking for sagas that no engine runs`. */
  readonly what: string;
  /** The time between two looks, in milliseconds. */
  readonly everyMs: number;
}

/** The result of a look. `refused`: the server refuses it, now or a short while ago. */
export type LookResult<T> =
  | { readonly kind: 'answer'; readonly value: T }
  | { readonly kind: 'refused' }
  | { readonly kind: 'failed' };

/** How long a server that refuses a look is not asked again, in milliseconds. */
const REFUSED_MS = 600_000;

/**
 * A look at a server, repeated at intervals, that the process can do without. The database role of a
 * process may lack the privileges for it on purpose. So a refusal is no problem of the process: it is
 * logged once as information, and the server, which may log it too, is asked again only after ten
 * minutes. Other failures are logged as those of any repeated work.
 */
export class OptionalLook {
  readonly #options: OptionalLookOptions;
  readonly #failure: RepeatedFailure;
  #refused: { readonly reason: string; readonly at: number } | null = null;

  constructor(options: OptionalLookOptions) {
    this.#options = options;
    const { everyMs, ...rest } = options;
    this.#failure = new RepeatedFailure({ ...rest, firstMs: everyMs, maxMs: everyMs });
  }

  /** Whether the server refuses the look. */
  get refused(): boolean {
    return this.#refused !== null;
  }

  async ask<T>(look: () => Promise<T>): Promise<LookResult<T>> {
    const { clock } = this.#options;
    if (this.#refused !== null && clock.now() - this.#refused.at < REFUSED_MS) {
      return { kind: 'refused' };
    }
    try {
      const value = await look();
      this.#answered();
      return { kind: 'answer', value };
    } catch (error) {
      if (storeFailureOf(error) === 'refused') {
        this.#refuse(errorMessage(error));
        return { kind: 'refused' };
      }
      this.#failure.failed(error);
      return { kind: 'failed' };
    }
  }

  #answered(): void {
    this.#failure.worked();
    if (this.#refused === null) return;
    this.#refused = null;
    this.#options.logger.info(`${this.#options.what} is no longer refused.`);
  }

  #refuse(reason: string): void {
    const { clock, logger, what } = this.#options;
    const told = this.#refused?.reason === reason;
    this.#refused = { reason, at: clock.now() };
    if (told) return;
    logger.info(`${what} is refused to this process, so it leaves that to others.`, {
      error: reason,
    });
  }
}
