import { MemoryOutboxStore } from '../../memory/index.js';
import type { OutboxMessage, SlotChange, SlotChangeOutcome, SlotLease } from '../../ports/index.js';

/** Writes at once, in a transaction of its own, what is meant for the commit of another. */
export class WritesApart extends MemoryOutboxStore {
  override appendAtCommit(messages: readonly OutboxMessage[]): Promise<void> {
    return this.append(messages);
  }
}

/** Forgets what is meant for the commit. */
export class ForgetsAtCommit extends MemoryOutboxStore {
  override appendAtCommit(): Promise<void> {
    return Promise.resolve();
  }
}

/** Buries a command without telling anybody. */
export class BuriesInSilence extends MemoryOutboxStore {
  override change(
    incarnation: string,
    leases: readonly SlotLease[],
    changes: readonly SlotChange[],
  ): Promise<readonly SlotChangeOutcome[]> {
    return super.change(
      incarnation,
      leases,
      changes.map((change) => {
        if (change.kind !== 'dead_letter') return change;
        const { mail: _mail, ...silent } = change;
        return silent;
      }),
    );
  }
}
