import { errorText } from '../../errors/index.js';
import type {
  ClaimState,
  Clock,
  InboxStore,
  KeptReply,
  Message,
  OutboxStore,
  Transaction,
  Transactions,
} from '../../ports/index.js';
import { claimState, claimSubject, type Claimed } from './claim-subject.js';
import { failureOf } from './failure.js';
import type { BurialReason, InboxOutcome } from './inbox.types.js';
import type { MessagePart } from './message-role.js';
import { negativeReply, replyMessage, type NegativeReply } from './reply.js';

/** How often a bookkeeping transaction that lost a race is repeated before the delivery is put off. */
const RERUNS = 3;

export interface BookkeepingOptions {
  readonly inbox: InboxStore;
  readonly outbox: Pick<OutboxStore, 'append'>;
  readonly transactions: Transactions;
  readonly service: string;
  readonly clock: Clock;
  readonly waitMs: number;
}

/** A delivery with the parts that the inbox has read from it. */
export interface Subject extends Claimed {
  readonly message: Message;
  readonly part: MessagePart;
  /**
   * How long a participant remembers the idempotency key, in milliseconds: longer than until the
   * command expires.
   */
  readonly keepMs: number;
}

/**
 * The short transactions beside that of the handler: for a refusal, an expired command, a dead letter,
 * and to look up a lost COMMIT. They use the store's own connections and never the application's pool,
 * where a handler that holds the last connection would wait for itself.
 */
export class InboxBookkeeping {
  readonly #options: BookkeepingOptions;

  constructor(options: BookkeepingOptions) {
    this.#options = options;
  }

  /**
   * Records a refusal once the handler's transaction is rolled back. One transaction marks the message
   * as done, stores the reply for its key, and sends it.
   */
  refuse(subject: Subject, refusal: NegativeReply): Promise<InboxOutcome> {
    const { inbox, waitMs } = this.#options;
    const refused: InboxOutcome = { kind: 'refused', reason: refusal.reason };
    return this.#ending(subject, async (transaction) => {
      const claim = await claimSubject(inbox, subject, transaction, { waitMs });
      if (claim !== 'new') return { kind: 'duplicate', finished: claim === 'known_itself' };
      const { part, message, keepMs } = subject;
      if (part.role === 'event') return refused;
      const reply = negativeReply('refused', refusal);
      if (part.role === 'compensation') {
        // The key is marked as undone even if the undo is refused, so that the command has no effect if
        // it arrives late.
        await inbox.markUndone(message.tenant, part.idempotencyKey, keepMs, transaction, waitMs);
      } else {
        const known = await inbox.beginCommand(
          message.tenant,
          part.idempotencyKey,
          keepMs,
          transaction,
          waitMs,
        );
        if (known.kind === 'undone') return { kind: 'late' };
        if (known.kind === 'applied') return this.#repeat(subject, known.reply, transaction);
        await inbox.keepReply(message.tenant, part.idempotencyKey, reply, transaction);
      }
      await this.#answer(subject, reply, transaction);
      return refused;
    });
  }

  /**
   * Ends a command that arrived after its expiry. If the same key was carried out meanwhile by another
   * message, the kept reply is sent, since a failure would not be true.
   */
  expire(subject: Subject): Promise<InboxOutcome> {
    const { inbox, waitMs } = this.#options;
    return this.#ending(subject, async (transaction) => {
      const claim = await claimSubject(inbox, subject, transaction, { waitMs });
      if (claim !== 'new') return { kind: 'duplicate', finished: claim === 'known_itself' };
      const { part, message } = subject;
      if (part.role !== 'event') {
        const known = await inbox.lookAtParticipant(
          message.tenant,
          part.idempotencyKey,
          transaction,
        );
        if (known.kind === 'undone') return { kind: 'late' };
        if (known.kind === 'applied') return this.#repeat(subject, known.reply, transaction);
        const reply = negativeReply('failed', { reason: 'expired' });
        await this.#answer(subject, reply, transaction);
      }
      return { kind: 'expired' };
    });
  }

  /**
   * Gives the message up. One transaction writes the dead letter and the mark and, if a saga waits for
   * an answer, a reply of failure. It does nothing if the message has ended meanwhile.
   */
  async bury(
    subject: Subject,
    death: {
      readonly reason: BurialReason;
      readonly attempts: number;
      readonly error: unknown;
      /** See {@link InboxHandler.blocks}. */
      readonly blocks?: boolean;
    },
  ): Promise<InboxOutcome> {
    const { inbox, waitMs } = this.#options;
    const { key, line, landed, message, part } = subject;
    const blocks = death.blocks === true && part.role === 'event' && line !== undefined;
    // The queue is opened before the transaction, which would have to wait for a second connection.
    await inbox.landingQueue(key.group);
    return this.#run(async (transaction) => {
      const error = errorText(death.error);
      const buried = await inbox.bury(
        key,
        { message, attempts: death.attempts, reason: death.reason, error, blocks },
        transaction,
        waitMs,
        line,
        landed,
      );
      if (!buried) return { kind: 'duplicate', finished: false };
      if (part.role !== 'event') {
        const details = { error: error.slice(0, 500), attempts: death.attempts };
        const reply = negativeReply('failed', { reason: death.reason, details });
        await this.#answer(subject, reply, transaction);
      }
      return { kind: 'buried', ...death, blocks };
    });
  }

  /**
   * Finds out whether a commit whose answer was lost has succeeded. It waits for the transaction in
   * doubt, which still holds the inbox row if it is open, and returns whether the message has ended.
   * Writes nothing.
   */
  async hasEnded(claimed: Claimed): Promise<boolean> {
    const { inbox, transactions, waitMs } = this.#options;
    const look: { state?: ClaimState } = {};
    try {
      await transactions.run(async (transaction) => {
        look.state = await claimState(inbox, claimed, transaction, { waitMs });
        // Thrown to roll the transaction back, since this must write nothing.
        throw ONLY_LOOKED;
      });
    } catch (error) {
      if (error !== ONLY_LOOKED) throw error;
    }
    return look.state !== 'new' && look.state !== 'held';
  }

  /** Runs a transaction that claims the message, and ends its row in the landing queue as the last thing. */
  #ending(
    { landed }: Subject,
    work: (transaction: Transaction) => Promise<InboxOutcome>,
  ): Promise<InboxOutcome> {
    if (landed === undefined) return this.#run(work);
    return this.#run(async (transaction) => {
      const outcome = await work(transaction);
      if (outcome.kind !== 'duplicate' || outcome.finished) {
        await this.#options.inbox.finishLanded(landed, transaction);
      }
      return outcome;
    });
  }

  async #repeat(
    subject: Subject,
    reply: KeptReply | null,
    transaction: Transaction,
  ): Promise<InboxOutcome> {
    if (reply !== null) await this.#answer(subject, reply, transaction);
    return { kind: 'repeated' };
  }

  async #answer(subject: Subject, reply: KeptReply, transaction: Transaction): Promise<void> {
    const { part, message } = subject;
    if (part.role === 'event' || part.replyTo === null) return;
    const from = {
      service: this.#options.service,
      time: this.#options.clock.date().toISOString(),
    };
    await this.#options.outbox.append(
      [replyMessage(message, part.replyTo, part.role, reply, from)],
      transaction,
    );
  }

  async #run(work: (transaction: Transaction) => Promise<InboxOutcome>): Promise<InboxOutcome> {
    for (let rerun = 0; ; rerun += 1) {
      try {
        return await this.#options.transactions.run(work);
      } catch (error) {
        if (rerun === RERUNS || failureOf(error) !== 'conflict') throw error;
      }
    }
  }
}

const ONLY_LOOKED = new Error('only looked');
