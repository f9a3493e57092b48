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
  readonly total: number;
}

/**
 * Kills each process once, spread over the run: the first when a share of the orders has ended, the
 * next when two shares have, and so on, so that each dies with work in its hands. What was killed
 * is started again a moment later. Returns when all were killed and all are ready again.
 */
export async function killEach(
  processes: readonly Killable[],
  progress: Progress,
  onKill: (name: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (const [index, process] of processes.entries()) {
    const due = Math.floor((progress.total * (index + 0.5)) / (processes.length + 1));
    while ((await progress.ended()) < due) await sleep(20, undefined, { signal });
    await process.kill();
    onKill(process.name);
    await sleep(300, undefined, { signal });
    process.start();
    await process.ready(60_000, signal);
  }
}
