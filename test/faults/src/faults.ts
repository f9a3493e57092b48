import { writeSync } from 'node:fs';
import type { FaultPoint, FaultPoints } from '@sagaz/core';
import type { Fault } from './scenario.js';

/** The line that a process prints before it freezes. */
export const FROZEN = 'frozen';

/** Ends or freezes this process when a point is reached for the n-th time. */
export class DeadlyFaults implements FaultPoints {
  #left: number;

  constructor(private readonly fault: Fault | undefined) {
    this.#left = fault?.nth ?? 1;
  }

  reach(point: FaultPoint, subject?: string): void {
    const { fault } = this;
    if (fault?.point !== point) return;
    if (fault.subject !== undefined && fault.subject !== subject) return;
    this.#left -= 1;
    if (this.#left !== 0) return;
    if (fault.action === 'kill') process.kill(process.pid, 'SIGKILL');
    // Nothing of this process runs between the word and the signal.
    writeSync(1, FROZEN);
    process.kill(process.pid, 'SIGSTOP');
  }
}
