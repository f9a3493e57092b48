import { systemClock } from '../../clock/index.js';
import { MemoryInboxStore, type MemoryTransactions } from '../../memory/index.js';
import type {
  ClaimOptions,
  ClaimState,
  InboxDeath,
  InboxKey,
  InboxLine,
  LandedRow,
  LandingMessage,
  Transaction,
} from '../../ports/index.js';

/** Inboxes whose landing queues break one rule each. */
abstract class BrokenLanding extends MemoryInboxStore {
  protected readonly transactions: MemoryTransactions;

  constructor(transactions: MemoryTransactions) {
    super(transactions, systemClock);
    this.transactions = transactions;
  }

  /** The answer of a claim now, if it need not wait; nothing is written. */
  protected async look(key: InboxKey, { line }: ClaimOptions): Promise<ClaimState> {
    const queue = await this.landingQueue(key.group);
    const { byStatus } = await queue.stats();
    // A key that no handler has locked is enough here: these inboxes are asked about one key at a time.
    const waits = [...byStatus].some(([status, count]) => status !== 'dead_letter' && count > 0);
    return line !== undefined && waits ? 'held' : 'new';
  }

  /** Takes the lock of the key, and looks at nothing. */
  protected async lockLine(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    { line }: ClaimOptions,
  ): Promise<void> {
    const nobody = { ...key, id: `lock of ${key.id}` };
    const options = { landed: '0', ...(line === undefined ? {} : { line }) };
    await super.claim(nobody, transaction, waitMs, options);
  }
}

/** Looks for nothing that landed. */
export class NeverLooks extends BrokenLanding {
  override async claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    options: ClaimOptions = {},
  ): Promise<ClaimState> {
    await this.lockLine(key, transaction, waitMs, options);
    return super.claim(key, transaction, waitMs, withoutLine(options));
  }
}

/** Looks first and waits then, as one statement that does both. */
export class LooksBeforeItWaits extends BrokenLanding {
  override async claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    options: ClaimOptions = {},
  ): Promise<ClaimState> {
    if (options.landed === undefined) {
      const seen = await this.look(key, options);
      if (seen === 'held') return seen;
    }
    await this.lockLine(key, transaction, waitMs, options);
    return super.claim(key, transaction, waitMs, withoutLine(options));
  }
}

/** Locks the message and not its key. */
export class LocksTheMessage extends BrokenLanding {
  override async claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    options: ClaimOptions = {},
  ): Promise<ClaimState> {
    if (options.landed === undefined && (await this.look(key, options)) === 'held') return 'held';
    return super.claim(key, transaction, waitMs, withoutLine(options));
  }
}

/** Lands each message by itself, and so draws a number before the rows of all are held. */
export class LandsOneByOne extends BrokenLanding {
  override async land(messages: readonly LandingMessage[], waitMs: number): Promise<number> {
    const landed = await Promise.all(messages.map((one) => super.land([one], waitMs)));
    return landed.reduce((sum, count) => sum + count, 0);
  }
}

/** Removes a row whoever has its slot. */
export class FinishesUnfenced extends BrokenLanding {
  override async finishLanded({ key, lease, seq }: LandedRow): Promise<void> {
    const queue = await this.landingQueue(key.group);
    await queue.complete([{ slot: lease.slot, seq }]);
  }
}

/** Checks the lease, and does not keep it until the commit. */
export class FinishesTooEarly extends BrokenLanding {
  override finishLanded(row: LandedRow): Promise<void> {
    return this.transactions.run((transaction) => super.finishLanded(row, transaction));
  }
}

/** Looks for what landed, and lands what has ended. */
export class AsksNobody extends BrokenLanding {
  override land(messages: readonly LandingMessage[], waitMs: number): Promise<number> {
    const again = messages.map((one) => ({
      ...one,
      key: { ...one.key, id: `${one.key.id} ${Math.random()}` },
    }));
    return super.land(again, waitMs);
  }
}

/** Lets the followers of every dead letter go on. */
export class NeverBlocks extends BrokenLanding {
  override bury(
    key: InboxKey,
    letter: InboxDeath,
    transaction: Transaction,
    waitMs: number,
    line: InboxLine | undefined,
    landed?: LandedRow,
  ): Promise<boolean> {
    return super.bury(key, { ...letter, blocks: false }, transaction, waitMs, line, landed);
  }
}

/** Holds a key for a dead letter that does not block. */
export class AlwaysBlocks extends BrokenLanding {
  override bury(
    key: InboxKey,
    letter: InboxDeath,
    transaction: Transaction,
    waitMs: number,
    line: InboxLine | undefined,
    landed?: LandedRow,
  ): Promise<boolean> {
    return super.bury(key, { ...letter, blocks: true }, transaction, waitMs, line, landed);
  }
}

/** Forgets, with what is old, also what is still in a landing queue. */
export class PrunesTheLanded extends BrokenLanding {
  readonly #pruned = new Set<string>();

  override async prune(doneMs: number, limit: number): Promise<number> {
    for (const { message } of await this.listDeadLetters({ limit: 1_000 })) {
      this.#pruned.add(message.id);
    }
    return super.prune(doneMs, limit);
  }

  override claim(
    key: InboxKey,
    transaction: Transaction,
    waitMs: number,
    options: ClaimOptions = {},
  ): Promise<ClaimState> {
    if (this.#pruned.has(key.id)) return Promise.resolve('new');
    return super.claim(key, transaction, waitMs, options);
  }
}

/** Lands a replayed dead letter anew, behind all others. */
export class ReplaysAtTheEnd extends BrokenLanding {
  override async replayDeadLetters(keys: readonly InboxKey[]) {
    const outcomes = await super.replayDeadLetters(keys);
    for (const key of keys) {
      const queue = await this.landingQueue(key.group);
      const windows = Array.from({ length: queue.slots }, (_, slot) => ({ slot, floor: '0' }));
      const bounds = { inFlight: [], perSlot: 100, limit: 100, bytes: 1_000_000 };
      const { rows } = await queue.read({ windows, ...bounds });
      const row = rows.find(({ message }) => message.id === key.id);
      if (row === undefined) continue;
      await queue.complete([{ slot: row.slot, seq: row.seq }]);
      const { tenant, topic, key: name } = row.message;
      const again = { key: { ...key, id: `${key.id} again` }, message: row.message };
      const line = { tenant, topic, key: name };
      await super.land([{ ...again, line, attempts: 0, retry: null }], 1_000);
    }
    return outcomes;
  }
}

function withoutLine({ landed }: ClaimOptions): ClaimOptions {
  return landed === undefined ? {} : { landed };
}
