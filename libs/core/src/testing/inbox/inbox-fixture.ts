import { lineOf } from '../../messaging/index.js';
import type {
  ClaimState,
  InboxKey,
  InboxStore,
  Message,
  Transaction,
  Transactions,
} from '../../ports/index.js';
import { freshName } from '../contract-case.js';

/** The parts of a store that the inbox contract looks at. */
export interface InboxParts {
  readonly inbox: InboxStore;
  readonly transactions: Transactions;
}

export interface InboxStoreFixture {
  readonly store: InboxParts;
  /** Another store onto the same data, as another process would have it. */
  readonly newStore: () => Promise<InboxParts>;
}

/** Long enough for what must come, on a slow machine too. */
export const WAIT_MS = 10_000;
/** For a wait that must end because the other does not. */
export const SHORT_MS = 50;
const DAY_MS = 86_400_000;
export const KEEP_MS = 30 * DAY_MS;

export function freshKey(more: Partial<InboxKey> = {}): InboxKey {
  return { tenant: '', group: freshName('group'), source: 'shop', id: freshName('id'), ...more };
}

/** A message with the key's tenant, source and id. */
export function messageOf(key: InboxKey, more: Partial<Message> = {}): Message {
  return {
    id: key.id,
    tenant: key.tenant,
    source: key.source,
    topic: 'inventory',
    key: 'order-1',
    type: 'inventory.reserve',
    time: '2026-11-21T10:00:00.000Z',
    contentType: 'application/json',
    payload: new TextEncoder().encode('{"sku":"caf\u00e9"}'),
    headers: { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' },
    ...more,
  };
}

/** A transaction that is left open on purpose. */
export interface OpenTransaction {
  readonly transaction: Transaction;
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

class RolledBack extends Error {}

export async function openTransaction(transactions: Transactions): Promise<OpenTransaction> {
  let end: (how: 'commit' | 'rollback') => void = () => undefined;
  const ending = new Promise<'commit' | 'rollback'>((resolve) => {
    end = resolve;
  });
  let opened: (transaction: Transaction) => void = () => undefined;
  const opening = new Promise<Transaction>((resolve) => {
    opened = resolve;
  });
  const running = transactions.run(async (transaction) => {
    opened(transaction);
    if ((await ending) === 'rollback') throw new RolledBack();
  });
  const rolledBack = running.catch((error: unknown) => {
    if (!(error instanceof RolledBack)) throw error;
  });
  // Where the transaction cannot even be opened, the wait for it must end too.
  const transaction = await Promise.race([
    opening,
    running.then(() => {
      throw new Error('The transaction ended before it was opened.');
    }),
  ]);
  return {
    transaction,
    commit: async () => {
      end('commit');
      await running;
    },
    rollback: async () => {
      end('rollback');
      await rolledBack;
    },
  };
}

/** Claims the key in a transaction of its own. */
export function claimOnce(parts: InboxParts, key: InboxKey): Promise<ClaimState> {
  return parts.transactions.run((transaction) => parts.inbox.claim(key, transaction, WAIT_MS));
}

/** Buries the key's message in a transaction of its own. */
export function buryOnce(
  parts: InboxParts,
  key: InboxKey,
  message: Message = messageOf(key),
): Promise<boolean> {
  return parts.transactions.run((transaction) =>
    parts.inbox.bury(
      key,
      { message, attempts: 5, reason: 'exhausted', error: 'Error: no' },
      transaction,
      WAIT_MS,
      lineOf(key, { message }),
    ),
  );
}
