import type { Clock, Timer } from '../ports/index.js';

interface Alarm {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

/** The work that began while the clock was moved did not end. */
const LONGEST_RUN = 100_000;

/**
 * A clock that moves only when it is told to. Between two timers all code that can run does run, so a
 * test of minutes takes milliseconds and always takes the same course.
 */
export class VirtualClock implements Clock {
  readonly #start: number;
  #now = 0;
  #order = 0;
  readonly #alarms = new Set<Alarm>();

  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    this.#start = start.getTime();
  }

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(this.#start + this.#now);
  }

  after(ms: number, fire: () => void): Timer {
    this.#order += 1;
    let at = this.#now + Math.max(0, ms);
    // A delay that is too small to be added would never be over. Node's timers wait at least 1 ms.
    if (ms > 0 && at === this.#now) at = this.#now + 1;
    const alarm: Alarm = { at, order: this.#order, fire };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#alarms.size;
  }

  /** Moves on by `ms`, timer by timer, in their order; throws if the time stands still meanwhile. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    let turns = 0;
    await this.settle();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      turns = next.at > this.#now ? 0 : turns + 1;
      if (turns > LONGEST_RUN) {
        throw new Error(`Timers without a delay follow each other without end at ${this.#now} ms.`);
      }
      this.#fire(next);
      await this.settle();
    }
    this.#now = end;
    await this.settle();
  }

  /**
   * Moves on, as far as is needed, until the promise settles; throws after `limitMs` of its time.
   *
   * @param beforeEachTimer awaited before the next timer fires: for work that goes on in the host's time
   */
  async until<T>(
    promise: Promise<T>,
    limitMs = 3_600_000,
    beforeEachTimer: () => Promise<void> = () => Promise.resolve(),
  ): Promise<T> {
    const state = { done: false };
    const finish = (): void => {
      state.done = true;
    };
    promise.then(finish, finish);
    const end = this.#now + limitMs;
    await this.settle();
    for (let turns = 0; !state.done && turns < LONGEST_RUN; turns += 1) {
      await beforeEachTimer();
      const next = this.#next(end);
      if (next === undefined) break;
      this.#fire(next);
      await this.settle();
    }
    if (!state.done) {
      throw new Error(
        `Still not settled after ${this.#now} ms of virtual time; nothing moves any more.`,
      );
    }
    return promise;
  }

  /** Lets all code run that only waits for its turn of the event loop. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #next(end: number): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.at > end) continue;
      if (
        next === undefined ||
        alarm.at < next.at ||
        (alarm.at === next.at && alarm.order < next.order)
      ) {
        next = alarm;
      }
    }
    return next;
  }

  #fire(alarm: Alarm): void {
    this.#alarms.delete(alarm);
    this.#now = Math.max(this.#now, alarm.at);
    alarm.fire();
  }
}
