import { errorText } from '../../errors/index.js';
import type { Delivery, InboxStore, LandingMessage, Logger } from '../../ports/index.js';
import { HeldKeyError, LandedRowLostError } from './errors.js';
import type { Claimed } from './claim-subject.js';
import type { HandledDelivery, InboxObserver, InboxOutcome } from './inbox.types.js';
import type { Judged } from './judged-delivery.js';
import { lineOf } from './landed-form.js';
import { inboxKeyOf } from './message-role.js';

/**
 * The longest time to a retry, in milliseconds, for which a message stays with the broker. A shorter one
 * costs nothing in memory, and a longer one would hold back a part of the broker's queue.
 */
const LAND_AFTER_MS = 2_000;
/** The time to the next attempt where a row of the landing queue was lost, in milliseconds. */
const LOST_MS = 1_000;

interface LandingOptions {
  readonly inbox: Pick<InboxStore, 'land'>;
  readonly logger: Logger;
  readonly keepsRetries?: boolean;
  readonly landAfterMs?: number;
  readonly mayLand?: (group: string) => boolean;
  readonly observer?: Pick<InboxObserver, 'landed'>;
  /** How long a landing waits for a transaction that handles the message, in milliseconds. */
  readonly waitMs: number;
}

/** Decides whether a message that cannot be handled now is put into the landing queue of its group. */
export class Landing {
  readonly #options: LandingOptions;

  constructor(options: LandingOptions) {
    this.#options = options;
  }

  /** Ends the delivery, and returns how. Never rejects: where nothing can be landed, the broker keeps the message. */
  async endOf(
    delivery: Delivery,
    claimed: Claimed,
    outcome: InboxOutcome,
  ): Promise<{ readonly outcome: InboxOutcome; readonly handled: HandledDelivery }> {
    if (outcome.kind === 'retry') {
      const landed = await this.#land(delivery, claimed, outcome);
      if (landed !== null) return { outcome: landed, handled: { kind: 'done', landed: true } };
      const { delayMs, counted, error } = outcome;
      return { outcome, handled: { kind: 'retry', delayMs, counted, error } };
    }
    const { landed } = claimed;
    if (outcome.kind === 'duplicate' && !outcome.finished && landed !== undefined) {
      // Another owner of the slot has ended it, or an operator. This process must not go on with the key
      // before the store has said whether it still has the slot.
      const error = new LandedRowLostError(landed.key.group, landed.seq);
      return { outcome, handled: { kind: 'retry', delayMs: LOST_MS, counted: false, error } };
    }
    const blocks = outcome.kind === 'buried' && outcome.blocks;
    return { outcome, handled: blocks ? { kind: 'done', blocks } : { kind: 'done' } };
  }

  /** Lands a delivery that is to be tried again, if that is what its delay or its key asks for. */
  async #land(
    { message, group }: Delivery,
    { key, line, landed }: Claimed,
    outcome: Extract<InboxOutcome, { kind: 'retry' }>,
  ): Promise<InboxOutcome | null> {
    const { keepsRetries = true, landAfterMs = LAND_AFTER_MS, mayLand } = this.#options;
    const { error, failures = 0, refused } = outcome;
    const held = error instanceof HeldKeyError;
    const long = !keepsRetries && outcome.delayMs > landAfterMs && refused !== true;
    if (landed !== undefined || !(held || long)) return null;
    // A message that was tried while its group takes no others lands, so that its partition goes on.
    if (outcome.trial !== true && mayLand?.(group) === false) return null;
    const delayMs = held ? null : outcome.delayMs;
    const retry = delayMs === null ? null : { delayMs, error: errorText(error) };
    const one = { key, message, line, attempts: failures, retry };
    return (await this.land([one])) ? { kind: 'landed', delayMs, error } : null;
  }

  /** Lands deliveries behind a message of their key. */
  async follow(deliveries: readonly Judged[]): Promise<boolean> {
    const { mayLand } = this.#options;
    if (deliveries.some(({ delivery }) => mayLand?.(delivery.group) === false)) return false;
    return this.land(
      deliveries.map(({ delivery, distrust }) => {
        const key = inboxKeyOf(delivery.group, delivery.message);
        const line = distrust === null ? lineOf(key, delivery) : undefined;
        return { key, message: delivery.message, line, attempts: 0, retry: null };
      }),
    );
  }

  /** Puts messages of one group into the landing queue, in one statement. False: the store did not take them. */
  async land(messages: readonly LandingMessage[]): Promise<boolean> {
    const { inbox, logger, waitMs, observer } = this.#options;
    try {
      const count = await inbox.land(messages, waitMs);
      const [one] = messages;
      if (one !== undefined && count > 0) observer?.landed?.({ group: one.key.group, count });
      return true;
    } catch (failed) {
      const [first] = messages;
      logger.warn('Messages could not be put into the landing queue; they are delivered again.', {
        count: messages.length,
        messageId: first?.message.id,
        type: first?.message.type,
        group: first?.key.group,
        error: errorText(failed),
      });
      return false;
    }
  }
}
