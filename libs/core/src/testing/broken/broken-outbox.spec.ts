import { describe, expect, it } from 'vitest';
import {
  MemoryOutboxStore,
  MemoryTransactions,
  type MemoryTransaction,
} from '../../memory/index.js';
import type { KeyName, SlotChange, SlotChangeOutcome, SlotLease } from '../../ports/index.js';
import { contractCase } from '../contract-case.js';
import { outboxStoreContract, queueOf, slotQueueContract, VirtualClock } from '../index.js';
import type { OutboxStoreFixture } from '../index.js';
import {
  ForgetsLockedRows,
  LosesLockedLeases,
  ReleasesPartOfAKey,
  WaitsForRows,
} from './broken-locks.fixture.js';
import {
  ForgetsOpenWriters,
  ReadsAnyBytes,
  ReadsByCursor,
  ReadsWithGaps,
  StopsAtBusyKeys,
} from './broken-reads.fixture.js';
import { BuriesInSilence, ForgetsAtCommit, WritesApart } from './broken-writes.fixture.js';

/** The contract is worth what it catches: outboxes with one fault each, as they were seen elsewhere. */

/** Looks whether the lease is still its own, and writes a moment later. */
class LooksWithoutLocking extends MemoryOutboxStore {
  protected override async lockLeases(incarnation: string, leases: readonly SlotLease[]) {
    const held = leases.filter((lease) => this.leases.holds(incarnation, lease));
    await new Promise((resolve) => setTimeout(resolve, 2));
    return new Set(held.map((lease) => lease.slot));
  }
}

/** Any change of anybody lands. */
class HasNoFence extends MemoryOutboxStore {
  protected override async lockLeases(_incarnation: string, leases: readonly SlotLease[]) {
    return new Set(leases.map((lease) => lease.slot));
  }
}

/** Makes any message a retry, also behind others of its key. */
class OvertakesByRetry extends MemoryOutboxStore {
  override change(mine: string, leases: readonly SlotLease[], changes: readonly SlotChange[]) {
    const plain = (one: SlotChange): SlotChange => {
      const { onlyFirst: _, ...rest } = { onlyFirst: true, ...one };
      return rest;
    };
    return super.change(mine, leases, changes.map(plain));
  }
}

/** Gives a slot to whoever asks. */
class SharesSlots extends MemoryOutboxStore {
  override async acquire(incarnation: string, ttlMs: number, limit: number) {
    return Array.from({ length: limit }, (_, slot) => this.leases.take(slot, incarnation, ttlMs));
  }
}

/** Takes back a crash of whoever has had the slot. */
class RetractsForOthers extends MemoryOutboxStore {
  override retractCrashes(lapsed: readonly SlotLease[]) {
    return super.retractCrashes(
      lapsed.flatMap((lease) => [0, 1, 2].map((more) => ({ ...lease, epoch: lease.epoch + more }))),
    );
  }
}

/** Forgets with the crash that was none also those before it. */
class RetractsAllCrashes extends MemoryOutboxStore {
  override retractCrashes(lapsed: readonly SlotLease[]) {
    return super.retractCrashes(lapsed.map((lease) => ({ ...lease, crashes: 0 })));
  }
}

/** Takes a graceful end for a death. */
class CountsEveryEnd extends MemoryOutboxStore {
  override async leave(): Promise<void> {
    await this.transactions.run(() => Promise.resolve());
  }
}

/** Ends a retry and leaves lying what had been held back behind it. */
class ForgetsFollowers extends MemoryOutboxStore {
  override async change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    const kept = changes.filter((change) => change.kind !== 'release');
    const outcomes = [...(await super.change(incarnation, leases, kept))];
    return changes.map((change) =>
      change.kind === 'release' ? 'changed' : (outcomes.shift() ?? 'gone'),
    );
  }
}

/** Names only keys that still have their head. */
class ForgetsOrphans extends MemoryOutboxStore {
  override async heldKeys(incarnation: string, leases: readonly SlotLease[]) {
    const held = await super.heldKeys(incarnation, leases);
    return held.filter((key) => key.head !== null);
  }
}

/** Releases a slot where one key was named. */
class ReleasesWholeSlots extends MemoryOutboxStore {
  override async change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    const named: SlotChange[] = [];
    for (const change of changes) {
      if (change.kind !== 'release') continue;
      for (const row of this.rows.committed((candidate) => candidate.status === 'held')) {
        const { tenant, topic, key } = row.message;
        const name: KeyName = { slot: row.slot, tenant, topic, key };
        named.push({ kind: 'release', key: name });
      }
    }
    await super.change(incarnation, leases, named);
    return super.change(incarnation, leases, changes);
  }
}

type Rows = Parameters<MemoryOutboxStore['append']>[0];

/** Draws the numbers first and waits for the keys with them in its hand. */
class LocksAfterNumbering extends MemoryOutboxStore {
  protected override async appendRows(
    rows: readonly { message: Rows[number]; ordered: boolean; delayMs: number }[],
    transaction: MemoryTransaction,
  ): Promise<void> {
    const before = await this.#drawn(rows, transaction);
    for (const lock of rows.map(({ message }) => message.key).sort()) await transaction.lock(lock);
    for (const [seq, row] of before) this.rows.table.set(seq, row, transaction);
  }

  async #drawn(
    rows: readonly { message: Rows[number]; ordered: boolean; delayMs: number }[],
    transaction: MemoryTransaction,
  ) {
    const seen = new Set(this.rows.table.entries(transaction).map(([seq]) => seq));
    await super.appendRows(
      rows.map((row) => ({ ...row, ordered: false })),
      transaction,
    );
    return this.rows.table.entries(transaction).filter(([seq]) => !seen.has(seq));
  }
}

/** Lets the keys go when it has written, not when its transaction ends. */
class LocksUntilWritten extends MemoryOutboxStore {
  protected override async appendRows(
    rows: readonly { message: Rows[number]; ordered: boolean; delayMs: number }[],
    transaction: MemoryTransaction,
  ): Promise<void> {
    await this.transactions.within(undefined, async (short) => {
      for (const lock of rows.map(({ message }) => message.key).sort()) await short.lock(lock);
      await super.appendRows(
        rows.map((row) => ({ ...row, ordered: false })),
        transaction,
      );
    });
  }
}

/** Has a statement of its own for one message, and locks in that one only. */
class LocksForOneOnly extends MemoryOutboxStore {
  override append(messages: Rows, transaction?: MemoryTransaction): Promise<void> {
    return super.append(
      messages.map((message) => ({ ...message, ordered: messages.length === 1 })),
      transaction,
    );
  }
}

/** Takes no lock at all. */
class LocksNothing extends MemoryOutboxStore {
  override append(messages: Rows, transaction?: MemoryTransaction): Promise<void> {
    return super.append(
      messages.map((message) => ({ ...message, ordered: false })),
      transaction,
    );
  }
}

/** A person's replay goes to the end of the queue. */
class ReplaysAtTheEnd extends MemoryOutboxStore {
  override async replayDeadLetters(ids: readonly string[]) {
    const letters = (await this.listDeadLetters({})).filter(({ id }) => ids.includes(id));
    await this.discardDeadLetters(ids);
    await this.append(
      letters.map((letter) => ({
        ...letter,
        source: '',
        time: '',
        ordered: true,
        delayMs: 0,
      })),
    );
    return ids.map(() => 'done' as const);
  }
}

/** Shows what is delayed at once. */
class IgnoresDelays extends MemoryOutboxStore {
  override append(messages: Rows, transaction?: MemoryTransaction): Promise<void> {
    return super.append(
      messages.map((message) => ({ ...message, delayMs: 0 })),
      transaction,
    );
  }
}

type Outbox = new (parts: ConstructorParameters<typeof MemoryOutboxStore>[0]) => MemoryOutboxStore;

function fixtureOf(outboxClass: Outbox): OutboxStoreFixture {
  const clock = new VirtualClock();
  const transactions = new MemoryTransactions(clock);
  const mail: { sagaId: string; dedupeKey: string; data: string }[] = [];
  const outbox = new outboxClass({
    transactions,
    clock,
    putMail: async (added) => void mail.push(...added),
  });
  return {
    outbox,
    newOutbox: () => Promise.resolve(outbox),
    transactions,
    pass: (ms) => clock.advance(ms),
    lockRow: outbox.lockRow.bind(outbox),
    lockLease: outbox.lockLease.bind(outbox),
    mailOf: async (sagaId) => mail.filter((letter) => letter.sagaId === sagaId),
  };
}

const QUEUE_FAULTS: readonly (readonly [Outbox, string])[] = [
  [ReadsByCursor, 'still shows what was numbered early and committed late'],
  [
    ReadsAnyBytes,
    'reads up to the row that brings the payloads to the bound, whatever follows, and says so',
  ],
  [ReadsWithGaps, 'cuts a slot off only at its end, whatever the limits'],
  [StopsAtBusyKeys, 'reads on behind the rows of keys that are passed over, as far as it is told'],
  [ForgetsOpenWriters, 'proves nothing about numbers whose writer is still open'],
  [
    LooksWithoutLocking,
    'lets no change of a stale owner land behind a take-over, however they are staggered',
  ],
  [HasNoFence, "refuses a stale owner's changes after a take-over, and changes nothing"],
  [SharesSlots, 'two owners that ask at once share no slot and leave none over'],
  [
    RetractsForOthers,
    'takes back the crash of an owner whose lease lapsed and who lives, and no other',
  ],
  [
    RetractsAllCrashes,
    'takes back the crash of an owner whose lease lapsed and who lives, and no other',
  ],
  [
    CountsEveryEnd,
    'counts a crash when an owner died, one more each time, and none when it gave back',
  ],
  [OvertakesByRetry, 'makes no retry of a message that is behind another of its key'],
  [ForgetsFollowers, 'moves followers aside and calls them back in their order'],
  [ForgetsOrphans, 'names a key of which only followers are left'],
  [ReleasesWholeSlots, 'releases the key that was named and no other'],
  ...[ForgetsLockedRows, WaitsForRows].map(
    (faulty) =>
      [
        faulty,
        'removes what is done beside rows that another transaction has locked, and names these',
      ] as const,
  ),
  [
    ReleasesPartOfAKey,
    'releases all held rows of a key or none, and other keys beside a locked one',
  ],
  [
    LosesLockedLeases,
    'renews all leases but one that is locked, and says that its slot is not lost',
  ],
];
const OUTBOX_FAULTS: readonly (readonly [Outbox, string])[] = [
  [LocksAfterNumbering, 'keeps the order of each key among twelve producers that overlap'],
  [LocksNothing, 'lets a second writer of a key wait for the first, and none of another key'],
  ...[LocksNothing, LocksUntilWritten, LocksForOneOnly, LocksAfterNumbering].map(
    (faulty) =>
      [
        faulty,
        'makes a transaction wait for the end of an earlier one of its key, whatever the two write',
      ] as const,
  ),
  [
    ForgetsOpenWriters,
    'loses nothing to a floor, also beside a transaction that stays open for long',
  ],
  [
    ReplaysAtTheEnd,
    'puts a dead letter back at its place in its key, fresh, and says so to the owner',
  ],
  ...[WritesApart, ForgetsAtCommit].map(
    (faulty) =>
      [
        faulty,
        'writes what is given for the commit in its order, and drops it at a rollback',
      ] as const,
  ),
  [IgnoresDelays, 'shows a delayed message when its time has come, and not before'],
  [
    BuriesInSilence,
    'puts mail in the transaction that buries a command, once, and only if it buries it',
  ],
];

describe('the contract of slot queues catches a queue that', () => {
  for (const [faulty, name] of QUEUE_FAULTS) {
    it(`${faulty.name}: "${name}"`, async () => {
      const { run } = contractCase(slotQueueContract, name);
      await expect(run(queueOf(fixtureOf(faulty)))).rejects.toThrow();
      await run(queueOf(fixtureOf(MemoryOutboxStore)));
    });
  }
});

describe('the contract of outboxes catches an outbox that', () => {
  for (const [faulty, name] of OUTBOX_FAULTS) {
    it(`${faulty.name}: "${name}"`, async () => {
      const { run } = contractCase(outboxStoreContract, name);
      await expect(run(fixtureOf(faulty))).rejects.toThrow();
      await run(fixtureOf(MemoryOutboxStore));
    });
  }
});
