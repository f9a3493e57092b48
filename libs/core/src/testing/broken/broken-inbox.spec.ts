import { describe, expect, it } from 'vitest';
import { systemClock } from '../../clock/index.js';
import { TransactionAbortedError } from '../../errors/index.js';
import { MemoryInboxStore, MemoryTable, MemoryTransactions } from '../../memory/index.js';
import type {
  Applied,
  InboxKey,
  KeptReply,
  ParticipantState,
  Transaction,
} from '../../ports/index.js';
import { contractCase } from '../contract-case.js';
import { inboxDeliveryContract, inboxStoreContract } from '../index.js';

/** The contract is worth what it catches: inboxes with one fault each, as they were seen elsewhere. */

class KeyedByIdAlone extends MemoryInboxStore {
  override claim(key: InboxKey, transaction: Transaction, waitMs: number) {
    return super.claim({ tenant: '', group: '', source: '', id: key.id }, transaction, waitMs);
  }
}

class IgnoresCase extends MemoryInboxStore {
  override claim(key: InboxKey, transaction: Transaction, waitMs: number) {
    return super.claim({ ...key, id: key.id.toLowerCase() }, transaction, waitMs);
  }
}

/** Commits the row before the handler runs: a failing handler's message is lost. */
class CommitsClaimAtOnce extends MemoryInboxStore {
  readonly #transactions: MemoryTransactions;

  constructor(transactions: MemoryTransactions) {
    super(transactions, systemClock);
    this.#transactions = transactions;
  }

  override claim(key: InboxKey, _: Transaction, waitMs: number) {
    return this.#transactions.run((own) => super.claim(key, own, waitMs));
  }
}

/** Writes the participant's row with the reply, at the end of the command. */
class ChecksParticipantAtTheEnd extends MemoryInboxStore {
  override beginCommand(
    tenant: string,
    key: string,
    _keepMs: number,
    transaction: Transaction,
  ): Promise<ParticipantState> {
    return super.lookAtParticipant(tenant, key, transaction);
  }

  override async keepReply(
    tenant: string,
    key: string,
    reply: KeptReply,
    transaction: Transaction,
  ): Promise<void> {
    await super.beginCommand(tenant, key, 60_000, transaction, 1_000);
    await super.keepReply(tenant, key, reply, transaction);
  }
}

/** Thinks that a compensation whose command never came has nothing to leave behind. */
class LeavesNoMark extends MemoryInboxStore {
  override async markUndone(
    tenant: string,
    key: string,
    keepMs: number,
    transaction: Transaction,
    waitMs: number,
  ): Promise<Applied> {
    const known = await super.lookAtParticipant(tenant, key, transaction);
    if (known.kind === 'first') return 'unknown';
    return super.markUndone(tenant, key, keepMs, transaction, waitMs);
  }
}

class ForgetsTheReply extends MemoryInboxStore {
  override keepReply(): Promise<void> {
    return Promise.resolve();
  }
}

/** Marks letters for replay, but leaves the messages dead. */
class ForgetsToClear extends MemoryInboxStore {
  readonly #dead = new Set<string>();

  override requestReplay(keys: readonly InboxKey[]) {
    for (const { id } of keys) this.#dead.add(id);
    return super.requestReplay(keys);
  }

  override claim(key: InboxKey, transaction: Transaction, waitMs: number) {
    if (this.#dead.has(key.id)) return Promise.resolve('dead' as const);
    return super.claim(key, transaction, waitMs);
  }
}

/** Takes letters out before their messages are handled. */
class TakesLettersOut extends MemoryInboxStore {
  override async takeReplays(groups: readonly string[], limit: number, leaseMs: number) {
    const letters = await super.takeReplays(groups, limit, leaseMs);
    await super.discardDeadLetters(
      letters.map(({ group, message: { tenant, source, id } }) => ({ tenant, group, source, id })),
    );
    return letters;
  }
}

/** Counts attempts where they roll back with the handler: nowhere. */
class ForgetsAttempts extends MemoryInboxStore {
  override noteStart() {
    return Promise.resolve({ failures: 0, timeouts: 0, starts: 1, crashes: 0 });
  }
}

/** Believes every COMMIT that is answered without an error. */
class TagBlind extends MemoryTransactions {
  override async run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const seen: { value: T }[] = [];
    try {
      return await super.run(async (transaction) => {
        const value = await work(transaction);
        seen.push({ value });
        return value;
      });
    } catch (error) {
      const [answered] = seen;
      if (error instanceof TransactionAbortedError && answered !== undefined) return answered.value;
      throw error;
    }
  }
}

interface Broken {
  readonly fault: string;
  readonly make: () => { transactions: MemoryTransactions; inbox: MemoryInboxStore };
  readonly caughtBy: readonly string[];
}

function withStore(
  make: (transactions: MemoryTransactions) => MemoryInboxStore,
  transactions: () => MemoryTransactions = () => new MemoryTransactions(systemClock),
): Broken['make'] {
  return () => {
    const opened = transactions();
    return { transactions: opened, inbox: make(opened) };
  };
}

const broken: readonly Broken[] = [
  {
    fault: 'keys messages by their id alone',
    make: withStore((transactions) => new KeyedByIdAlone(transactions, systemClock)),
    caughtBy: [
      'two groups handle the same message, each once',
      'the same id from another source is another message',
      'the same id of another tenant is another message',
    ],
  },
  {
    fault: 'compares names without regard to case',
    make: withStore((transactions) => new IgnoresCase(transactions, systemClock)),
    caughtBy: ['names that differ only in case are different names'],
  },
  {
    fault: 'commits the claim before the handler runs',
    make: withStore((transactions) => new CommitsClaimAtOnce(transactions)),
    caughtBy: [
      'a rolled back claim leaves nothing behind',
      'of two overlapping deliveries the second is new when the first rolls back',
      'a handler that throws leaves nothing, and its message is delivered again',
      'whatever fails and in whatever order messages come, effects happen once (seed 1)',
    ],
  },
  {
    fault: 'takes every answered COMMIT for a commit',
    make: withStore(
      (transactions) => new MemoryInboxStore(transactions, systemClock),
      () => new TagBlind(systemClock),
    ),
    caughtBy: [
      'a transaction whose failed statement was swallowed cannot be taken for committed',
      'a transaction that was rolled back in silence is a failure and no acknowledgement',
    ],
  },
  {
    fault: "checks the participant's row at the end of the command",
    make: withStore((transactions) => new ChecksParticipantAtTheEnd(transactions, systemClock)),
    caughtBy: ['a compensation waits for the command that is at work, and is told what it did'],
  },
  {
    fault: 'leaves no mark where nothing was applied',
    make: withStore((transactions) => new LeavesNoMark(transactions, systemClock)),
    caughtBy: [
      'a compensation that comes first is told unknown, and its command comes too late',
      'a command that comes after its undo is acknowledged and does nothing',
      'whatever fails and in whatever order messages come, effects happen once (seed 1)',
    ],
  },
  {
    fault: 'keeps no reply',
    make: withStore((transactions) => new ForgetsTheReply(transactions, systemClock)),
    caughtBy: [
      'a repeated command finds the reply of the first, byte for byte',
      'a command repeated under another message id has no effect and is answered with the same reply',
    ],
  },
  {
    fault: 'replays without clearing the mark',
    make: withStore((transactions) => new ForgetsToClear(transactions, systemClock)),
    caughtBy: [
      'a replay clears the way for the message and keeps its letter until it is done',
      'a replayed dead letter is handled once, and its letter is gone',
    ],
  },
  {
    fault: 'takes the letter out before the message is handled',
    make: withStore((transactions) => new TakesLettersOut(transactions, systemClock)),
    caughtBy: [
      'a replay clears the way for the message and keeps its letter until it is done',
      'a replay that is cut short by a crash is taken up by another process',
    ],
  },
  {
    fault: 'forgets attempts that ended with their process',
    make: withStore((transactions) => new ForgetsAttempts(transactions, systemClock)),
    caughtBy: [
      'attempts are counted outside of every transaction, and begin anew after a burial',
      'a message that kills its process while it is alone in it is a dead letter in the end',
    ],
  },
];

function fixtureOf(make: Broken['make']) {
  const store = make();
  const table = new MemoryTable<string>();
  let written = 0;
  const effects = {
    record: (text: string, transaction: Transaction) =>
      store.transactions.within(transaction, (own) => {
        written += 1;
        table.set(String(written), text, own);
      }),
    recorded: () =>
      Promise.resolve(
        table
          .entries()
          .sort(([a], [b]) => Number(a) - Number(b))
          .map(([, text]) => text),
      ),
  };
  return { store, effects, newStore: () => Promise.resolve(store) };
}

describe('the inbox contract', () => {
  for (const { fault, make, caughtBy } of broken) {
    for (const name of caughtBy) {
      it(`catches an inbox that ${fault}: ${name}`, async () => {
        const inContract = inboxStoreContract.some((one) => one.name === name)
          ? contractCase(inboxStoreContract, name).run(fixtureOf(make))
          : contractCase(inboxDeliveryContract, name).run(fixtureOf(make));
        await expect(inContract).rejects.toMatchObject({ code: 'ERR_ASSERTION' });
      });
    }
  }

  it('passes the implementation they are made from, so that each is caught for its fault', async () => {
    const make = withStore((transactions) => new MemoryInboxStore(transactions, systemClock));
    const names = new Set(broken.flatMap(({ caughtBy }) => caughtBy));
    for (const one of inboxStoreContract) if (names.has(one.name)) await one.run(fixtureOf(make));
    for (const one of inboxDeliveryContract)
      if (names.has(one.name)) await one.run(fixtureOf(make));
  });
});
