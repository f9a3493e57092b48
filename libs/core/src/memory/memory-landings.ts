import { hintLanded, landedPart, landingChannel, originalOf } from '../messaging/index.js';
import type {
  Clock,
  DeadLetterFilter,
  InboxDeadLetter,
  LandingMessage,
  WakeUps,
} from '../ports/index.js';
import { MemoryLandingQueue } from './memory-landing-queue.js';
import { MemorySequence, type NumberedRow } from './memory-queue-rows.js';
import type { MemoryTransaction, MemoryTransactions } from './memory-transaction.js';

const DEFAULT_LIMIT = 50;

/** The landing queues of all groups. */
export class MemoryLandings {
  readonly #transactions: MemoryTransactions;
  readonly #clock: Clock;
  readonly #wakeUps: Pick<WakeUps, 'hint'> | undefined;
  readonly #sequence = new MemorySequence();
  readonly #queues = new Map<string, MemoryLandingQueue>();

  constructor(
    transactions: MemoryTransactions,
    clock: Clock,
    wakeUps: Pick<WakeUps, 'hint'> | undefined,
  ) {
    this.#transactions = transactions;
    this.#clock = clock;
    this.#wakeUps = wakeUps;
  }

  of(group: string): MemoryLandingQueue {
    let queue = this.#queues.get(group);
    if (queue === undefined) {
      queue = new MemoryLandingQueue({
        queue: landingChannel(group),
        transactions: this.#transactions,
        clock: this.#clock,
        sequence: this.#sequence,
      });
      this.#queues.set(group, queue);
    }
    return queue;
  }

  /** The queue of a group, if it has one. */
  known(group: string): MemoryLandingQueue | undefined {
    return this.#queues.get(group);
  }

  all(): readonly (readonly [string, MemoryLandingQueue])[] {
    return [...this.#queues];
  }

  /** Gives a queue to a group of another name. */
  move(from: string, to: string, queue: MemoryLandingQueue): void {
    this.#queues.delete(from);
    this.#queues.set(to, queue);
  }

  /** Wakes the workers of the messages' groups after the commit. */
  hint(messages: readonly LandingMessage[], own: MemoryTransaction): void {
    const wakeUps = this.#wakeUps;
    if (wakeUps === undefined) return;
    own.afterCommit(() => hintLanded(wakeUps, messages));
  }

  hintAll(group: string, own: MemoryTransaction): void {
    own.afterCommit(() => this.#wakeUps?.hint(landingChannel(group)));
  }

  list(filter: DeadLetterFilter): readonly InboxDeadLetter[] {
    const { limit = DEFAULT_LIMIT } = filter;
    const after = BigInt(filter.after ?? 0);
    const letters: { readonly group: string; readonly row: NumberedRow }[] = [];
    for (const [group, queue] of this.#queues) {
      if (filter.group !== undefined && filter.group !== group) continue;
      letters.push(...queue.deadLetters().map((row) => ({ group, row })));
    }
    return letters
      .filter(
        ({ row: { seq, message } }) =>
          BigInt(seq) > after &&
          (filter.topic === undefined || landedPart(filter.topic) === message.topic) &&
          (filter.type === undefined || filter.type === message.type) &&
          (filter.key === undefined || landedPart(filter.key) === message.key),
      )
      .sort((a, b) => (BigInt(a.row.seq) < BigInt(b.row.seq) ? -1 : 1))
      .slice(0, limit)
      .map(({ group, row }) => ({
        message: originalOf(row.message),
        attempts: row.attempts,
        reason: row.reason,
        error: row.error,
        blocks: row.blocks,
        cursor: row.seq,
        group,
        diedAt: row.diedAt ?? new Date(0),
      }));
  }

  countDeadLetters(): number {
    let count = 0;
    for (const queue of this.#queues.values()) count += queue.deadLetters().length;
    return count;
  }
}
