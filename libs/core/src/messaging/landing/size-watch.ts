import { RepeatedFailure } from '../../retry/index.js';
import type { Clock, LandedSize, Logger, LandingStore, Timer } from '../../ports/index.js';

/** A look that took long is followed by a pause of so many times as long: counting has a bounded share. */
const PAUSES = 50;
const LONGEST_PAUSE_MS = 60_000;

export interface SizeWatchOptions {
  readonly group: string;
  readonly inbox: Pick<LandingStore, 'landedSize'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The pause between two looks, in milliseconds. */
  readonly everyMs: number;
  /** Up to how many messages are counted. */
  readonly most: number;
  readonly measured: (size: LandedSize) => void;
}

/** Measures the landing queue of a group every few seconds. */
export class SizeWatch {
  readonly #options: SizeWatchOptions;
  readonly #failure: RepeatedFailure;
  #timer: Timer | null = null;
  #stopped = false;

  constructor(options: SizeWatchOptions) {
    const { clock, logger, group } = options;
    this.#options = options;
    this.#failure = new RepeatedFailure({
      clock,
      logger,
      what: `Measuring the landing queue of group ${group}`,
      firstMs: options.everyMs,
      maxMs: LONGEST_PAUSE_MS,
    });
  }

  /** Looks now, and from then on regularly. Never rejects. */
  async start(): Promise<void> {
    const { inbox, group, most, clock, everyMs, measured } = this.#options;
    const began = clock.now();
    let pauseMs: number;
    try {
      const size = await inbox.landedSize(group, most);
      this.#failure.worked();
      pauseMs = Math.max(everyMs, Math.min(LONGEST_PAUSE_MS, PAUSES * (clock.now() - began)));
      if (!this.#stopped) measured(size);
    } catch (error) {
      pauseMs = this.#failure.failed(error);
    }
    if (!this.#stopped) this.#timer = clock.after(pauseMs, () => void this.start());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
