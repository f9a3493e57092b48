import { setTimeout as sleep } from 'node:timers/promises';
import { orderId } from './orders.js';
import type { SoakSystem } from './soak-system.js';
import type { Report } from './worker-plan.js';

/** A client without an answer asks another process after this time, under the same idempotency key. */
const ANSWER_WITHIN_MS = 15_000;
const TICK_MS = 50;
/** The most orders without an answer: a client whose orders are not answered sends no more of them. */
const UNANSWERED_MOST = 500;

/** Places orders at an even pace, each until it is answered with "started". */
export class Traffic {
  readonly #unanswered = new Map<string, number>();
  readonly #random: () => number;
  #placed = 0;
  /** How often an order was sent again. */
  repeated = 0;
  /** Order ids that were started. */
  readonly started = new Set<string>();

  constructor(
    private readonly system: SoakSystem,
    private readonly total: number,
    random: () => number,
  ) {
    this.#random = random;
  }

  hear(report: Report): void {
    if (report.kind === 'started') {
      this.#unanswered.delete(report.orderId);
      this.started.add(report.orderId);
    } else if (report.kind === 'refused' && this.#unanswered.has(report.orderId)) {
      this.#unanswered.set(report.orderId, 0);
    }
  }

  /** Spreads the orders over the time given, and goes on until each is started or the signal stops it. */
  async run(forMs: number, signal: AbortSignal): Promise<void> {
    const began = performance.now();
    while (!signal.aborted) {
      const due = Math.min(1, (performance.now() - began) / forMs) * this.total;
      while (this.#placed < due && this.#unanswered.size < UNANSWERED_MOST) {
        this.#placed += 1;
        this.#unanswered.set(orderId(this.#placed, this.#random), 0);
      }
      this.#send();
      if (this.#placed >= this.total && this.#unanswered.size === 0) return;
      await sleep(TICK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  #send(): void {
    const now = performance.now();
    for (const [id, sentAt] of this.#unanswered) {
      if (sentAt !== 0 && now - sentAt < ANSWER_WITHIN_MS) continue;
      // Not the seeded dice: how often an order is sent depends on the machine.
      if (!this.system.pick(Math.random, 'engine').send({ kind: 'start', orderId: id })) continue;
      if (sentAt !== 0) this.repeated += 1;
      this.#unanswered.set(id, now);
    }
  }
}
