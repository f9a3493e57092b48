import type { FaultPoint, FaultPoints } from '../ports/index.js';

/** A point at which code waits until the test opens it. */
export class Gate {
  #open: () => void = () => undefined;
  #arrived: () => void = () => undefined;
  /** Resolves when the gate is opened. */
  readonly opened: Promise<void>;
  /** Resolves when code has reached the gate. */
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

  /** Notes that the gate was reached, and waits until it is opened. */
  async pass(): Promise<void> {
    this.#arrived();
    await this.opened;
  }
}

type Fault = (subject: string | undefined) => void | Promise<void>;

/** Fault points at which a test can set a gate, an error or the end of the process. */
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

  /** Has `fault` run the next `times` times that the point is reached. */
  on(point: FaultPoint, fault: Fault, times = 1): this {
    this.#faults.set(point, { fault, left: times });
    return this;
  }

  /** Has the code that next reaches the point wait at the gate. */
  gate(point: FaultPoint): Gate {
    const gate = new Gate();
    this.on(point, () => gate.pass());
    return gate;
  }

  clear(): void {
    this.#faults.clear();
  }
}
