import type { InboxStore, Transaction } from '../../ports/index.js';
import type { Subject } from './inbox-bookkeeping.js';

/** Ends the row of a landed message in the transaction of its handler. Does nothing for other messages. */
export class LandedEnd {
  readonly #inbox: Pick<InboxStore, 'finishLanded'>;
  readonly #subject: Subject;
  /** Whether the transaction has claimed the message and not ended its row yet. */
  #owed = false;

  constructor(inbox: Pick<InboxStore, 'finishLanded'>, subject: Subject) {
    this.#inbox = inbox;
    this.#subject = subject;
  }

  /** A transaction begins. */
  begin(): void {
    this.#owed = false;
  }

  /** The transaction has claimed the message. */
  claimed(): void {
    this.#owed = this.#subject.landed !== undefined;
  }

  /** The last statement of the transaction. */
  readonly last = async (transaction: Transaction): Promise<void> => {
    const { landed } = this.#subject;
    if (!this.#owed || landed === undefined) return;
    await this.#inbox.finishLanded(landed, transaction);
    this.#owed = false;
  };

  /** The transaction has committed. A unit of work that does not call `last` leaves the row behind. */
  assertEnded(): void {
    if (!this.#owed) return;
    throw new Error(
      `The unit of work of '${this.#subject.message.type}' committed without its last statement: InboxUnit.run must call 'last' before it commits.`,
    );
  }
}
