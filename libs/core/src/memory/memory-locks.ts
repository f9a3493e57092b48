import { LockTimeoutError } from '../errors/index.js';
import type { Clock } from '../ports/index.js';

export type LockMode = 'shared' | 'exclusive';

/** A holder of locks, which keeps them until its end: a transaction. */
export interface LockHolder {
  readonly locks: Map<string, LockMode>;
}

interface Waiter {
  readonly holder: LockHolder;
  readonly mode: LockMode;
  readonly grant: () => void;
  /** Ends the wait, because the transaction that waits has ended. */
  readonly leave: () => void;
}

interface Lock {
  readonly holders: Set<LockHolder>;
  readonly queue: Waiter[];
}

/**
 * Locks of rows and keys as a database has them: held until the transaction ends, granted in the order
 * of arrival, shared or exclusive, with a limited wait. So the memory stores have the races of the
 * real ones.
 */
export class MemoryLocks {
  readonly #locks = new Map<string, Lock>();
  /** The waits of each holder; a transaction can be abandoned while it waits. */
  readonly #waits = new WeakMap<LockHolder, Set<Waiter>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the lock if it is free (`SKIP LOCKED`); returns false if another transaction has it. */
  tryLock(name: string, holder: LockHolder, mode: LockMode = 'exclusive'): boolean {
    const lock = this.#locks.get(name);
    if (lock === undefined) {
      this.#locks.set(name, { holders: new Set([holder]), queue: [] });
      holder.locks.set(name, mode);
      return true;
    }
    if (!this.#free(name, lock, holder, mode)) return false;
    this.#take(name, lock, holder, mode);
    return true;
  }

  /** Waits for the lock, at most `waitMs`, and then throws `LockTimeoutError`. */
  async lock(
    name: string,
    holder: LockHolder,
    options: { readonly mode?: LockMode; readonly waitMs?: number } = {},
  ): Promise<void> {
    const mode = options.mode ?? 'exclusive';
    if (this.tryLock(name, holder, mode)) return;
    const lock = this.#locks.get(name);
    if (lock === undefined) return;
    const waits = this.#waits.get(holder) ?? new Set();
    this.#waits.set(holder, waits);
    await new Promise<void>((resolve, reject) => {
      const waitMs = options.waitMs;
      const refuse = (error: Error): void => {
        waits.delete(waiter);
        timer?.cancel();
        lock.queue.splice(lock.queue.indexOf(waiter), 1);
        this.#grantNext(name, lock);
        reject(error);
      };
      const waiter: Waiter = {
        holder,
        mode,
        grant: () => {
          waits.delete(waiter);
          timer?.cancel();
          resolve();
        },
        leave: () => refuse(new Error(`The transaction that waited for ${name} has ended.`)),
      };
      waits.add(waiter);
      lock.queue.push(waiter);
      const timer =
        waitMs === undefined
          ? undefined
          : this.#clock.after(waitMs, () => refuse(new LockTimeoutError(name, waitMs)));
    });
  }

  releaseAll(holder: LockHolder): void {
    for (const waiter of [...(this.#waits.get(holder) ?? [])]) waiter.leave();
    for (const name of holder.locks.keys()) {
      const lock = this.#locks.get(name);
      if (lock === undefined) continue;
      lock.holders.delete(holder);
      this.#grantNext(name, lock);
    }
    holder.locks.clear();
  }

  #free(name: string, lock: Lock, holder: LockHolder, mode: LockMode): boolean {
    if (lock.holders.has(holder)) return mode === 'shared' || lock.holders.size === 1;
    if (lock.holders.size === 0) return true;
    // A shared lock does not overtake an exclusive one that waits; otherwise writers could wait for
    // ever.
    return mode === 'shared' && lock.queue.length === 0 && !conflicts(name, lock, holder, mode);
  }

  #take(name: string, lock: Lock, holder: LockHolder, mode: LockMode): void {
    lock.holders.add(holder);
    if (holder.locks.get(name) !== 'exclusive') holder.locks.set(name, mode);
  }

  #grantNext(name: string, lock: Lock): void {
    for (;;) {
      const next = lock.queue[0];
      if (next === undefined) break;
      if (conflicts(name, lock, next.holder, next.mode)) return;
      lock.queue.shift();
      this.#take(name, lock, next.holder, next.mode);
      next.grant();
    }
    if (lock.holders.size === 0) this.#locks.delete(name);
  }
}

function conflicts(name: string, lock: Lock, holder: LockHolder, mode: LockMode): boolean {
  for (const other of lock.holders) {
    if (other === holder) continue;
    if (mode === 'exclusive' || other.locks.get(name) === 'exclusive') return true;
  }
  return false;
}
