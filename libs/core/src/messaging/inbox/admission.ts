import type {
  Clock,
  Delivery,
  InboxAttempts,
  InboxKey,
  InboxStore,
  Logger,
} from '../../ports/index.js';
import { errorText } from '../../errors/index.js';
import { TurnWaitError } from './errors.js';
import type { InboxOutcome } from './inbox.types.js';
import type { RecentRetries } from './recent-retries.js';
import type { SoloGate } from './solo-gate.js';

/** How long a suspect waits for others of its kind, and for what runs already. */
const TURN_MS = 30_000;
const DRAIN_MS = 5_000;
/** How long it has the process to itself; doubled with every earlier death, up to the longest. */
const ALONE_MS = 30_000;
const LONGEST_ALONE_MS = 600_000;
/** A suspect that so often found no moment to be alone runs beside the others. */
const MOST_TURNS = 20;
const TURN_AGAIN_MS = 5_000;

/** How an attempt is begun, and what is known of those before it. */
export interface Admitted {
  /**
   * Whether its start is noted, so that the death of its process in it is known afterwards: not at all,
   * as one of several, or as the only one, which then is what the process died of.
   */
  readonly noted: 'no' | 'beside' | 'alone';
  /** Null: they were not looked at, because nothing was known against the message. */
  readonly attempts: InboxAttempts | null;
}

export interface AdmissionOptions {
  readonly inbox: InboxStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly gate: SoloGate;
  readonly recent: RecentRetries;
  /** Messages of one group whose handler was once too slow that run at once. */
  readonly slowPlaces: number;
  readonly random: () => number;
  /** Whether somebody has ended the message. */
  readonly hasEnded: (key: InboxKey) => Promise<boolean>;
}

/**
 * Decides in whose company a message is handled.
 *
 * A process that dies takes everything it was working on with it, and cannot say what it died of. What
 * may have been at work then is handled like everything else, with a note; nearly always it was merely
 * there. What was at work in a second death too is handled alone, nothing else of the process's
 * consumers beside it, and only deaths in which it was alone are held against it.
 *
 * What once hung is handled by few at a time, or a handful of such messages would take all places again
 * each time their retries are due.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #slow = new Map<string, number>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  async run(
    delivery: Delivery,
    about: { readonly key: InboxKey; readonly name: string },
    work: (how: Admitted) => Promise<InboxOutcome>,
  ): Promise<InboxOutcome> {
    const { gate, recent } = this.#options;
    const { key, name } = about;
    const attempts = await this.#attempts(delivery, about);
    const noted = attempts === null ? 'no' : suspicion(delivery, attempts);
    const slow = recent.isSlow(name) || (attempts?.timeouts ?? 0) > 0;
    if (slow && !this.#enterSlow(key.group)) return this.#wait(delivery);
    try {
      if (noted !== 'alone') return await gate.beside(() => work({ noted, attempts }));
      return await this.#alone(delivery, about, attempts, work);
    } finally {
      if (slow) this.#leaveSlow(key.group);
    }
  }

  async #alone(
    delivery: Delivery,
    { key, name }: { readonly key: InboxKey; readonly name: string },
    attempts: InboxAttempts | null,
    work: (how: Admitted) => Promise<InboxOutcome>,
  ): Promise<InboxOutcome> {
    const { gate, recent, inbox, logger, hasEnded } = this.#options;
    // Its process may have died between its commit and its acknowledgement: nobody has to make room.
    if (await hasEnded(key)) return { kind: 'duplicate' };
    const deaths = attempts?.starts ?? 0;
    const aloneMs = Math.min(ALONE_MS * 2 ** Math.min(deaths - 1, 10), LONGEST_ALONE_MS);
    const outcome = await gate.alone(
      () => work({ noted: 'alone', attempts }),
      { turnMs: TURN_MS, drainMs: DRAIN_MS, aloneMs },
      () => {
        inbox.noteCompany(key).catch((error: unknown) => {
          logger.warn('It could not be noted that a suspect is not alone any more.', {
            messageId: key.id,
            error: errorText(error),
          });
        });
      },
    );
    if (outcome !== null) return outcome;
    if (recent.noteTurn(name) < MOST_TURNS) return this.#wait(delivery);
    return gate.beside(() => work({ noted: 'beside', attempts }));
  }

  /** Null where nothing is known against the message. */
  async #attempts(
    { attempt, afterDeath = false }: Delivery,
    { key, name }: { readonly key: InboxKey; readonly name: string },
  ): Promise<InboxAttempts | null> {
    if (attempt <= 1 && !afterDeath) return null;
    if (this.#options.recent.knows(name)) return null;
    return this.#options.inbox.readAttempts(key);
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
 * Delivered more often than it failed, or left behind by a dead process: that process may have died of
 * it. What merely failed has a noted failure for each of its deliveries.
 */
function suspicion(
  { attempt, afterDeath = false }: Delivery,
  { failures, starts, crashes }: InboxAttempts,
): Admitted['noted'] {
  if (starts + crashes > 0) return 'alone';
  return afterDeath || attempt - 1 > failures ? 'beside' : 'no';
}
