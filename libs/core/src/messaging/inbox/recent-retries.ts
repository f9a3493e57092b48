import { HandlerTimeoutError } from '../handler-timeout.error.js';
import { TurnWaitError } from './errors.js';
import type { Failure } from './failure.js';
import type { BurialReason, InboxOutcome } from './inbox.types.js';

/** How many messages whose retry this process asked for are remembered. */
const REMEMBERED = 20_000;
/**
 * How many retries after lost races or locks are not counted. They take some ten seconds, in which the
 * handler runs three times as often. Further ones count, because a message that always meets the same
 * lock would hold its key and a place for minutes.
 */
const MOST_CONFLICTS = 6;
/**
 * How many retries in a row are not counted for other reasons, and for how long at most, in
 * milliseconds.
 */
const MOST_UNCOUNTED = 20;
const UNCOUNTED_MS = 600_000;
/**
 * The longest time, in milliseconds, for a database that is away. A retry counts then only if both the
 * number and the time are over, since the message is not at fault.
 */
const AWAY_MS = 3_600_000;

/**
 * Why a retry need not count: the database is away, another process works on the message, or a race or
 * lock was lost.
 */
export type Uncounted = 'away' | 'busy' | 'conflict';

/** @param failure of a kind that need not count */
export function uncountedOf(failure: Failure): Uncounted {
  if (failure === 'conflict') return 'conflict';
  return failure === 'unavailable' ? 'away' : 'busy';
}

/** A message whose attempts are used up and whose dead letter could not be written yet. */
export interface Spent {
  readonly reason: BurialReason;
  readonly failures: number;
  readonly error: unknown;
}

interface Entry {
  /**
   * The number of the last delivery after which this process knew that no death is owed to the message;
   * null: it does not know that.
   */
  trustedAt: number | null;
  uncounted: number;
  conflicts: number;
  readonly since: number;
  slow: boolean;
  spent: Spent | null;
}

/**
 * Remembers the messages that this process put off, until they end; the oldest are forgotten if there
 * are too many.
 */
export class RecentRetries {
  readonly #entries = new Map<string, Entry>();
  /**
   * How often messages waited in vain for their turn. Such a wait does not change whether they are
   * suspects.
   */
  readonly #turns = new Map<string, number>();

  /**
   * Whether this process knows that no death of a process is owed to the message: it put the message off
   * after the delivery before this one, and the message was no suspect then, or its handler had ended.
   * A message that was put off before its handler was called is as much a suspect as before.
   */
  isTrusted(name: string, attempt: number): boolean {
    const at = this.#entries.get(name)?.trustedAt ?? null;
    // Deliveries in between were another process's, which may have died.
    return at !== null && attempt <= at + 1;
  }

  /** Notes that after this delivery no death is owed to the message. */
  trust(name: string, attempt: number, now: number): void {
    this.#entry(name, now).trustedAt = attempt;
  }

  /** How many uncounted retries in a row this process asked for. */
  uncounted(name: string): number {
    return this.#entries.get(name)?.uncounted ?? 0;
  }

  /** Whether an attempt of the message exceeded its time limit. */
  isSlow(name: string): boolean {
    return this.#entries.get(name)?.slow ?? false;
  }

  spent(name: string): Spent | null {
    return this.#entries.get(name)?.spent ?? null;
  }

  noteSpent(name: string, spent: Spent, now: number): void {
    this.#entry(name, now).spent = spent;
  }

  /**
   * Whether the next retry that would not be counted is counted after all.
   *
   * @param heldMs how long another process may hold the message at most, in milliseconds
   */
  mustCount(name: string, kind: Uncounted, now: number, heldMs: number): boolean {
    const entry = this.#entries.get(name);
    if (entry === undefined) return false;
    const many = entry.uncounted >= MOST_UNCOUNTED;
    const long = now - entry.since >= UNCOUNTED_MS;
    switch (kind) {
      case 'away':
        return many && now - entry.since >= AWAY_MS;
      case 'busy':
        // The other process may be frozen: until the database ends its transaction, the message is not
        // at fault.
        return (many || long) && now - entry.since >= heldMs;
      case 'conflict':
        return entry.conflicts >= MOST_CONFLICTS || many || long;
    }
  }

  /** Notes how a delivery ended. A wait for a turn, and a trial that does not count, say nothing. */
  noteOutcome(
    name: string,
    outcome: InboxOutcome,
    now: number,
    failureOf: (error: unknown) => Failure,
  ): void {
    if (outcome.kind !== 'retry') {
      this.forget(name);
      return;
    }
    const { error, counted, trial } = outcome;
    if (error instanceof TurnWaitError || trial === true) return;
    const uncounted = counted ? null : uncountedOf(failureOf(error));
    this.#note(name, { uncounted, slow: error instanceof HandlerTimeoutError }, now);
  }

  #note(
    name: string,
    retry: { readonly uncounted: Uncounted | null; readonly slow: boolean },
    now: number,
  ): void {
    this.#turns.delete(name);
    const entry = this.#entry(name, now);
    // The number is not reset, so once a retry counts the next ones count too, until the attempts are
    // used up.
    if (retry.uncounted !== null) entry.uncounted += 1;
    if (retry.uncounted === 'conflict') entry.conflicts += 1;
    if (retry.slow) entry.slow = true;
  }

  /** Notes that the message waited in vain for its turn. Returns how often it has by now. */
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
      trustedAt: null,
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

/**
 * Remembers a value and forgets the oldest one if there are too many. A forgotten message only loses
 * its count and is checked as a suspect once more.
 */
function remember<T>(map: Map<string, T>, name: string, value: T): void {
  map.delete(name);
  map.set(name, value);
  if (map.size <= REMEMBERED) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
