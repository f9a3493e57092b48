import { Injectable } from '@nestjs/common';
import type { LandingState } from '@sagaz/core';

/** How many messages of a queue are done and cannot be removed from it, though others can. */
export interface StuckMessages {
  /** The outbox of a connection, or a consumer group. */
  readonly kind: 'outbox' | 'group';
  readonly name: string;
  readonly count: number;
}

/** Whether a consumer group takes messages in this process. */
export interface LandingQueueState extends LandingState {
  readonly connection: string;
  readonly group: string;
}

/** A worker in the background, from the application's start to its end. */
export interface Worker {
  /** For logs and health: `relay default`, `engine`, `consumers`. */
  readonly name: string;
  /** Called once, when every module has bootstrapped. */
  start(): Promise<void>;
  /**
   * Takes no more work, ends as much as it can within `withinMs`, and gives back the rest. Called while
   * the clients that the application's code uses are still open.
   */
  stop(withinMs: number): Promise<void>;
  /** The problem of the worker in words, for health; null while it works. */
  problem(): string | null;
  /**
   * Whether it can work while the broker is away.
   * - `stops`: this process cannot do its work then, and is not ready.
   * - `waits`: its part comes later by itself, and what others ask of this process is done meanwhile.
   *
   * Absent: it does not use the broker.
   */
  withoutBroker?(): 'stops' | 'waits';
  /** The stuck messages of each queue that it works on, those without any included. */
  stuck?(): readonly StuckMessages[];
  /** The landing queues that it works on. */
  landings?(): readonly LandingQueueState[];
}

/** The workers that this process runs in the background. */
@Injectable()
export class Workers {
  readonly #workers: Worker[] = [];
  readonly #stopping: (() => void)[] = [];

  /**
   * Adds a worker. Must be called before the application has bootstrapped, from a constructor or
   * `onModuleInit`.
   */
  add(worker: Worker): void {
    this.#workers.push(worker);
  }

  /** Calls `callback` at the very beginning of a shutdown, before any worker is stopped. */
  whenStopping(callback: () => void): void {
    this.#stopping.push(callback);
  }

  /** Calls the callbacks of {@link whenStopping}; used by the lifecycle. */
  announceStop(): void {
    for (const callback of this.#stopping.splice(0)) callback();
  }

  get all(): readonly Worker[] {
    return this.#workers;
  }

  /** The workers that have a problem, each with the problem; empty when all work. */
  problems(): readonly { readonly worker: string; readonly problem: string }[] {
    return this.#workers.flatMap((worker) => {
      const problem = worker.problem();
      return problem === null ? [] : [{ worker: worker.name, problem }];
    });
  }
}
