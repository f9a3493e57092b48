import type { Clock, Delivery, InboxAttempts, InboxStore, Logger } from '../../ports/index.js';
import { TurnWaitError } from './errors.js';
import type { Claimed } from './claim-subject.js';
import type { InboxOutcome } from './inbox.types.js';
import type { RecentRetries } from './recent-retries.js';
import type { SoloGate } from './solo-gate.js';
import { StartNote } from './start-note.js';

/**
 * How long a crash suspect waits for other suspects, and for handlers that are running already; in
 * milliseconds.
 */
const TURN_MS = 30_000;
const DRAIN_MS = 5_000;
/**
 * How long a suspect is handled alone in its process, in milliseconds; doubled with every earlier
 * crash, up to the longest.
 */
const ALONE_MS = 30_000;
const LONGEST_ALONE_MS = 600_000;
/** A suspect that was put off this many times because it could not be alone runs beside others. */
const MOST_TURNS = 20;
const TURN_AGAIN_MS = 5_000;

/** A delivery that asks for admission. */
interface Subjected extends Claimed {
  /** The inbox key as one text. */
  readonly name: string;
}

/** How an attempt is admitted, and what is known of the earlier ones. */
export interface Admitted {
  /**
   * By which the start of the attempt is noted, so that a death of the process during it is known
   * afterwards. Null: it is not noted, because the message is no suspect.
   */
  readonly note: StartNote | null;
  /** Null: they were not read, because no earlier attempt of the message is known. */
  readonly attempts: InboxAttempts | null;
}

export interface AdmissionOptions {
  readonly inbox: InboxStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly gate: SoloGate;
  readonly recent: RecentRetries;
  /** How many messages of a group that have timed out before are handled at once. */
  readonly slowPlaces: number;
  readonly random: () => number;
  /** Whether the message has been handled or given up meanwhile. */
  readonly hasEnded: (claimed: Claimed) => Promise<boolean>;
  /** Whether messages that may have killed a process are put into the landing queue, and handled there. */
  readonly landsSuspects: boolean;
}

/**
 * Decides whether a message is handled beside others or alone.
 *
 * A process that dies loses all handlers that were running, and cannot say which one killed it. A
 * message that may have been in work then is handled like any other, but its start is noted, since
 * nearly always another one caused the crash. A message that was in work in a second crash is handled
 * alone, with no other handler of the process's consumers beside it, and only crashes in which it was
 * alone count against it.
 *
 * Of messages that have timed out before, only a few are handled at a time, or they would take all
 * places each time their retries are due.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #slow = new Map<string, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  async run(
    delivery: Delivery,
    about: Subjected,
    work: (how: Admitted) => Promise<InboxOutcome>,
  ): Promise<InboxOutcome> {
    const { recent, inbox, clock } = this.#options;
    const { key, name } = about;
    const trusted =
      delivery.landed === undefined &&
      delivery.afterDeath !== true &&
      (delivery.attempt <= 1 || recent.isTrusted(name, delivery.attempt));
    const attempts = trusted ? null : await inbox.readAttempts(key);
    const suspect = attempts === null ? 'no' : suspicion(delivery, attempts);
    const note = suspect === 'no' ? null : new StartNote(this.#options, key, suspect === 'alone');
    const admitted = { note, attempts };
    const outcome = await this.#inPlace(delivery, about, admitted, suspect, work);
    if (outcome.kind === 'retry' && (note === null || note.ended)) {
      recent.trust(name, delivery.attempt, clock.now());
    }
    return outcome;
  }

  async #inPlace(
    delivery: Delivery,
    about: Subjected,
    admitted: Admitted,
    suspect: 'no' | 'beside' | 'alone',
    work: (how: Admitted) => Promise<InboxOutcome>,
  ): Promise<InboxOutcome> {
    const { gate, recent } = this.#options;
    const { group } = about.key;
    const slow = recent.isSlow(about.name) || (admitted.attempts?.timeouts ?? 0) > 0;
    if (slow && !this.#enterSlow(group)) return this.#wait(delivery);
    try {
      if (suspect !== 'alone') return await gate.beside(() => work(admitted));
      return await this.#alone(delivery, about, admitted, work);
    } finally {
      if (slow) this.#leaveSlow(group);
    }
  }

  async #alone(
    delivery: Delivery,
    about: Subjected,
    admitted: Admitted,
    work: (how: Admitted) => Promise<InboxOutcome>,
  ): Promise<InboxOutcome> {
    const { gate, recent, hasEnded, landsSuspects } = this.#options;
    const { name } = about;
    const { note, attempts } = admitted;
    // The process may have died between the commit and the acknowledgement. Then the message is done
    // and need not run alone.
    if (await hasEnded(about)) return { kind: 'duplicate', finished: false };
    // There it holds up one slot, and no other message of the broker's partition.
    if (landsSuspects && delivery.landed === undefined) return this.#wait(delivery);
    const deaths = attempts?.starts ?? 0;
    const aloneMs = Math.min(ALONE_MS * 2 ** Math.min(deaths - 1, 10), LONGEST_ALONE_MS);
    const outcome = await gate.alone(
      () => work(admitted),
      { turnMs: TURN_MS, drainMs: DRAIN_MS, aloneMs },
      () => note?.goesOnBeside(),
    );
    if (outcome !== null) return outcome;
    if (recent.noteTurn(name) < MOST_TURNS) return this.#wait(delivery);
    note?.goesOnBeside();
    return gate.beside(() => work(admitted));
  }

  #wait({ message }: Delivery): InboxOutcome {
    const delayMs = Math.round(TURN_AGAIN_MS * (1 + this.#options.random()));
    return { kind: 'retry', delayMs, counted: false, error: new TurnWaitError(message.type) };
  }

  #enterSlow(group: string): boolean {
    const taken = this.#slow.get(group) ?? 0;
    if (taken >= this.#options.slowPlaces) return false;
    this.#slow.set(group, taken + 1);
    return true;
  }

  #leaveSlow(group: string): void {
    const left = (this.#slow.get(group) ?? 1) - 1;
    if (left > 0) this.#slow.set(group, left);
    else this.#slow.delete(group);
  }
}

/**
 * A message that was delivered more often than it failed, or that a dead process left behind, may have
 * killed that process. One that merely failed has a noted failure for each of its deliveries.
 */
function suspicion(
  { attempt, afterDeath = false }: Delivery,
  { failures, starts, crashes }: InboxAttempts,
): 'no' | 'beside' | 'alone' {
  if (starts + crashes > 0) return 'alone';
  return afterDeath || attempt - 1 > failures ? 'beside' : 'no';
}
