import type { Clock, SlotQueueStore, Timer } from '../../ports/index.js';
import { severable, type Severed } from '../../testing/index.js';

/** The clock of a process that can be stopped: its timers fire late, and its time goes on. */
class ProcessClock implements Clock {
  readonly #clock: Clock;
  /** The work that waits until the process goes on; null: it is running. */
  #waiting: (() => void)[] | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  date(): Date {
    return this.#clock.date();
  }

  after(ms: number, fire: () => void): Timer {
    let canceled = false;
    const timer = this.#clock.after(ms, () => {
      this.whenRunning(() => {
        if (!canceled) fire();
      });
    });
    return {
      cancel: () => {
        canceled = true;
        timer.cancel();
      },
    };
  }

  whenRunning(work: () => void): void {
    if (this.#waiting === null) work();
    else this.#waiting.push(work);
  }

  stop(): void {
    this.#waiting ??= [];
  }

  go(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const work of waiting) work();
  }
}

/** A process as its consumer sees it: a clock, and a store whose answers arrive only while it runs. */
export class StoppableProcess {
  readonly #clock: ProcessClock;
  readonly severed: Severed<SlotQueueStore>;
  readonly store: SlotQueueStore;
  dead = false;

  constructor(clock: Clock, store: SlotQueueStore) {
    this.#clock = new ProcessClock(clock);
    this.severed = severable<SlotQueueStore>(store);
    this.store = new Proxy(this.severed.value, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        return async (...given: unknown[]): Promise<unknown> => {
          try {
            const answer: unknown = await Reflect.apply(member, target, given);
            return answer;
          } finally {
            await new Promise<void>((resolve) => this.#clock.whenRunning(resolve));
          }
        };
      },
    });
  }

  get clock(): Clock {
    return this.#clock;
  }

  /** Resolves after this time, or when the process goes on after it. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }

  stop(): void {
    this.#clock.stop();
  }

  go(): void {
    if (!this.dead) this.#clock.go();
  }

  kill(): void {
    this.dead = true;
    this.severed.kill();
    this.#clock.stop();
  }
}
