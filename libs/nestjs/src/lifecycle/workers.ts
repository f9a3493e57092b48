import { Injectable } from '@nestjs/common';

/** Something that works in the background from the application's start to its end. */
export interface Worker {
  /** For logs and health: `relay default`, `engine`, `consumers`. */
  readonly name: string;
  /** Called once, when every module has bootstrapped. */
  start(): Promise<void>;
  /**
   * Takes no more work, ends what it can within the time, and gives back the rest. Called while
   * everything the application's code uses still lives.
   */
  stop(withinMs: number): Promise<void>;
  /** Null while it works; otherwise what is wrong, for health. */
  problem(): string | null;
  /**
   * What it does while the broker is away.
   * - `stops`: this process cannot do its work then, and is not ready.
   * - `waits`: its part comes later by itself, and what others ask of this process is done meanwhile.
   *
   * Default: it has nothing to do with the broker.
   */
  withoutBroker?(): 'stops' | 'waits';
}

/** What this process runs in the background. */
@Injectable()
export class Workers {
  readonly #workers: Worker[] = [];
  readonly #stopping: (() => void)[] = [];

  /** To be called before the application has bootstrapped, from a constructor or `onModuleInit`. */
  add(worker: Worker): void {
    this.#workers.push(worker);
  }

  /** Calls back at the very beginning of a shutdown, before any worker is stopped. */
  whenStopping(callback: () => void): void {
    this.#stopping.push(callback);
  }

  /** Used by the lifecycle. */
  announceStop(): void {
    for (const callback of this.#stopping.splice(0)) callback();
  }

  get all(): readonly Worker[] {
    return this.#workers;
  }

  /** What is wrong with whom; empty when all is well. */
  problems(): readonly { readonly worker: string; readonly problem: string }[] {
    return this.#workers.flatMap((worker) => {
      const problem = worker.problem();
      return problem === null ? [] : [{ worker: worker.name, problem }];
    });
  }
}
