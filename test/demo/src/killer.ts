import { setTimeout as sleep } from 'node:timers/promises';

/** A process that can be killed and comes back. */
export interface Killable {
  readonly name: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): void;
  ready(withinMs: number, signal: AbortSignal): Promise<void>;
}

export interface Progress {
  /** Orders that have ended so far. */
  readonly ended: () => Promise<number>;
  /** Orders that have had an answer at the door so far. */
  readonly sent: () => number;
  readonly total: number;
  /** Lets the first so many orders be sent. */
  readonly letThrough: (orders: number) => void;
}

/**
 * Kills each process once, spread over the run: the first when half of the first share of the orders
 * has ended, the next when half of the second has, and so on. A share is sent only when all are up
 * again: otherwise a fast machine would be through with all orders while the first process starts, and
 * the others would die with nothing in their hands. What was killed is started again a moment later.
 * Returns when all were killed, all are ready again, and the last share is on its way.
 */
export async function killEach(
  processes: readonly Killable[],
  { total, ended, sent, letThrough }: Progress,
  onKill: (name: string, underWay: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const share = total / (processes.length + 1);
  for (const [index, process] of processes.entries()) {
    letThrough(Math.ceil(share * (index + 1)));
    const due = Math.floor(share * (index + 0.5));
    let done = await ended();
    while (done < due) {
      await sleep(20, undefined, { signal });
      done = await ended();
    }
    const underWay = sent() - done;
    await process.kill();
    onKill(process.name, underWay);
    await sleep(300, undefined, { signal });
    process.start();
    await process.ready(60_000, signal);
  }
  letThrough(total);
}
