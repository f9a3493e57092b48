import type { FaultPoint, FaultPoints } from '../ports/index.js';

/** A point in a test where somebody waits until it is opened. */
export class Gate {
  #open: () => void = () => undefined;
  #arrived: () => void = () => undefined;
  /** Resolves when the gate is opened. */
  readonly opened: Promise<void>;
  /** Resolves when somebody stands in front of it. */
  readonly reached: Promise<void>;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    this.reached = new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }

  open(): void {
    this.#open();
  }

  /** Says that somebody is here, and waits. */
  async pass(): Promise<void> {
    this.#arrived();
    await this.opened;
  }
}

type Fault = (subject: string | undefined) => void | Promise<void>;

/** Fault points a test can lay something behind: a gate, an error, the end of the process. */
export class FaultBoard implements FaultPoints {
  readonly #faults = new Map<FaultPoint, { fault: Fault; left: number }>();
  /** Every point that was reached, in order. */
  readonly reached: { readonly point: FaultPoint; readonly subject: string | undefined }[] = [];

  reach(point: FaultPoint, subject?: string): void | Promise<void> {
    this.reached.push({ point, subject });
    const laid = this.#faults.get(point);
    if (laid === undefined) return;
    laid.left -= 1;
    if (laid.left <= 0) this.#faults.delete(point);
    return laid.fault(subject);
  }

  /** Runs `fault` the next `times` times the point is reached. */
  on(point: FaultPoint, fault: Fault, times = 1): this {
    this.#faults.set(point, { fault, left: times });
    return this;
  }

  /** Whoever reaches the point next waits at the gate. */
  gate(point: FaultPoint): Gate {
    const gate = new Gate();
    this.on(point, () => gate.pass());
    return gate;
  }

  clear(): void {
    this.#faults.clear();
  }
}
