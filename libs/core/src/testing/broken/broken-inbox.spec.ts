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
import {
  AlwaysBlocks,
  AsksNobody,
  FinishesTooEarly,
  FinishesUnfenced,
  LandsOneByOne,
  LocksTheMessage,
  LooksBeforeItWaits,
  NeverBlocks,
  NeverLooks,
  PrunesTheLanded,
  ReplaysAtTheEnd,
} from './broken-landing.fixture.js';
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
    fault: 'looks for nothing that landed',
    make: withStore((transactions) => new NeverLooks(transactions)),
    caughtBy: [
      'a landed message holds the later ones of its key, in whatever lane it is, and no others',
      'a claim that has waited for its key sees what landed meanwhile',
      'a landed message is held by one before it, also if its owner does not know of that one',
    ],
  },
  {
    fault: 'looks for what landed before it waits',
    make: withStore((transactions) => new LooksBeforeItWaits(transactions)),
    caughtBy: ['a claim that has waited for its key sees what landed meanwhile'],
  },
  {
    fault: 'locks the message and not its key',
    make: withStore((transactions) => new LocksTheMessage(transactions)),
    caughtBy: [
      'handlers of a key exclude each other, whether its messages come from the broker or have landed',
    ],
  },
  {
    fault: 'draws a number before all rows are held',
    make: withStore((transactions) => new LandsOneByOne(transactions)),
    caughtBy: [
      'numbers are drawn when all inbox rows are held, in the order given',
      'the wait of a landing for a handler of the message is bounded, and nothing is landed',
    ],
  },
  {
    fault: 'removes a landed row whoever has its slot',
    make: withStore((transactions) => new FinishesUnfenced(transactions)),
    caughtBy: ['a process whose slot was taken over cannot end a landed message'],
  },
  {
    fault: 'checks a lease without keeping it until the commit',
    make: withStore((transactions) => new FinishesTooEarly(transactions)),
    caughtBy: ['a take-over waits for a transaction that has ended a landed message'],
  },
  {
    fault: 'lands what has ended or landed before',
    make: withStore((transactions) => new AsksNobody(transactions)),
    caughtBy: [
      'a message that landed is known as landed, and is neither landed, handled nor buried again',
      'callers that land the same messages at once land each once, and none waits in a circle',
    ],
  },
  {
    fault: 'lets the followers of every dead letter go on',
    make: withStore((transactions) => new NeverBlocks(transactions)),
    caughtBy: [
      'a landed message holds the later ones of its key, in whatever lane it is, and no others',
      'a landed message that is given up is a dead letter in its place, which holds its key only if it blocks',
    ],
  },
  {
    fault: 'holds a key for every dead letter',
    make: withStore((transactions) => new AlwaysBlocks(transactions)),
    caughtBy: [
      'a landed message holds the later ones of its key, in whatever lane it is, and no others',
    ],
  },
  {
    fault: 'prunes what is in a landing queue',
    make: withStore((transactions) => new PrunesTheLanded(transactions)),
    caughtBy: ['a landed message is not pruned, and one that was handled is kept from its end on'],
  },
  {
    fault: 'puts a replayed dead letter behind all others',
    make: withStore((transactions) => new ReplaysAtTheEnd(transactions)),
    caughtBy: [
      'a replayed dead letter is back at its place, before what landed after it, and holds its key',
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
