import type { Delivery } from '../../ports/index.js';

/** What a delivery that waited does now: it looks again whether it may go on, or is handled as a probe. */
export type Turn = 'look' | 'probe';

interface Waiting {
  readonly delivery: Delivery;
  readonly resume: (turn: Turn) => void;
}

/** Deliveries that wait until their group takes messages again, in the order in which they came. */
export class Turns {
  readonly #waiting = new Set<Waiting>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Waits for the turn of the delivery, and no longer than it may be worked on. */
  wait(delivery: Delivery): Promise<Turn> {
    return new Promise((resolve) => {
      const { signal } = delivery;
      const lost = (): void => {
        this.#end(waiting, 'look');
      };
      const waiting: Waiting = {
        delivery,
        resume: (turn) => {
          signal.removeEventListener('abort', lost);
          resolve(turn);
        },
      };
      signal.addEventListener('abort', lost, { once: true });
      this.#waiting.add(waiting);
    });
  }

  /** Has all of them look again. */
  wakeAll(): void {
    for (const waiting of [...this.#waiting]) this.#end(waiting, 'look');
  }

  /** Gives the turn to the first delivery that may have it. False: there is none. */
  probe(may: (delivery: Delivery) => boolean): boolean {
    for (const waiting of this.#waiting) {
      if (!may(waiting.delivery)) continue;
      this.#end(waiting, 'probe');
      return true;
    }
    return false;
  }

  #end(waiting: Waiting, turn: Turn): void {
    if (this.#waiting.delete(waiting)) waiting.resume(turn);
  }
}
