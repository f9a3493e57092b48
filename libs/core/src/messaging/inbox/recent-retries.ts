import type { Failure } from './failure.js';
import type { BurialReason } from './inbox.types.js';

/** How many messages whose retry this process asked for are remembered. */
const REMEMBERED = 20_000;
/**
 * So many retries after lost races or locks are not counted: they take some ten seconds, in which the
 * handler ran three times as often. Then another is a failure like others: who always meets the same
 * lock would hold its key and a place for minutes, and the attempts that are left have pauses of their own.
 */
const MOST_CONFLICTS = 6;
/** So many retries in a row for other reasons are not counted, and nothing for longer than this. */
const MOST_UNCOUNTED = 20;
const UNCOUNTED_MS = 600_000;
/** A database that is away is no fault of a message: longer, and both must be over. */
const AWAY_MS = 3_600_000;

/** Why a retry need not count: the database is away, somebody else is at work, a race or a lock was lost. */
export type Uncounted = 'away' | 'busy' | 'conflict';

/** @param failure of a kind that need not count */
export function uncountedOf(failure: Failure): Uncounted {
  if (failure === 'conflict') return 'conflict';
  return failure === 'unavailable' ? 'away' : 'busy';
}

/** Attempts that are used up; the dead letter could not be written yet. */
export interface Spent {
  readonly reason: BurialReason;
  readonly failures: number;
  readonly error: unknown;
}

interface Entry {
  uncounted: number;
  conflicts: number;
  readonly since: number;
  slow: boolean;
  spent: Spent | null;
}

/** What this process knows of messages that it put off, until they end or are crowded out by others. */
export class RecentRetries {
  readonly #entries = new Map<string, Entry>();
  /** Of messages that only waited for their turn: they stay as suspicious as they were. */
  readonly #turns = new Map<string, number>();

  /** This process put the message off after an attempt: no process died of that. */
  knows(name: string): boolean {
    return this.#entries.has(name);
  }

  /** How many uncounted retries in a row this process asked for. */
  uncounted(name: string): number {
    return this.#entries.get(name)?.uncounted ?? 0;
  }

  /** An attempt of it was given up because its time was over. */
  isSlow(name: string): boolean {
    return this.#entries.get(name)?.slow ?? false;
  }

  spent(name: string): Spent | null {
    return this.#entries.get(name)?.spent ?? null;
  }

  noteSpent(name: string, spent: Spent, now: number): void {
    this.#entry(name, now).spent = spent;
  }

  /** Whether the next retry that would not be counted is counted after all. */
  mustCount(name: string, kind: Uncounted, now: number): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined) return false;
    const many = entry.uncounted >= MOST_UNCOUNTED;
    const long = now - entry.since >= UNCOUNTED_MS;
    switch (kind) {
      case 'away':
        return many && now - entry.since >= AWAY_MS;
      case 'busy':
        return many || long;
      case 'conflict':
        return entry.conflicts >= MOST_CONFLICTS || many || long;
    }
  }

  note(
    name: string,
    retry: { readonly uncounted: Uncounted | null; readonly slow: boolean },
    now: number,
  ): void {
    this.#turns.delete(name);
    const entry = this.#entry(name, now);
    // Once it counts it goes on counting: the attempts that are left end it.
    if (retry.uncounted !== null) entry.uncounted += 1;
    if (retry.uncounted === 'conflict') entry.conflicts += 1;
    if (retry.slow) entry.slow = true;
  }

  /** It waited in vain for its turn; how often it has by now. */
  noteTurn(name: string): number {
    const turns = (this.#turns.get(name) ?? 0) + 1;
    remember(this.#turns, name, turns);
    return turns;
  }

  forget(name: string): void {
    this.#entries.delete(name);
    this.#turns.delete(name);
  }

  #entry(name: string, now: number): Entry {
    const entry = this.#entries.get(name) ?? {
      uncounted: 0,
      conflicts: 0,
      since: now,
      slow: false,
      spent: null,
    };
    remember(this.#entries, name, entry);
    return entry;
  }
}

/** To be forgotten costs a message one note and its turn among suspects, nothing else. */
function remember<T>(map: Map<string, T>, name: string, value: T): void {
  map.delete(name);
  map.set(name, value);
  if (map.size <= REMEMBERED) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
