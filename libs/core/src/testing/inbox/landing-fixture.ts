import assert from 'node:assert/strict';
import { lineOf } from '../../messaging/index.js';
import type {
  ClaimOptions,
  ClaimState,
  InboxDeath,
  InboxKey,
  InboxLine,
  LandedRow,
  LandingMessage,
  Message,
  QueuedMessage,
  SlotQueueStore,
  Transaction,
} from '../../ports/index.js';
import { freshName } from '../contract-case.js';
import { own, readAll, ANY_BYTES, type Owner } from '../messaging/slot-queue-fixture.js';
import { WAIT_MS, freshKey, messageOf, type InboxParts } from './inbox-fixture.js';

/** A message of a group in the order of its key. */
export interface Keyed {
  readonly key: InboxKey;
  readonly message: Message;
  readonly line: InboxLine | undefined;
}

/** A message of the group; `more.key` names the key in whose order it is. */
export function keyed(group: string, more: Partial<Message> = {}): Keyed {
  const key = freshKey({ group, tenant: more.tenant ?? '' });
  const message = messageOf(key, more);
  return { key, message, line: lineOf(key, { message }) };
}

export function landing(of: Keyed, more: Partial<LandingMessage> = {}): LandingMessage {
  return { ...of, attempts: 0, retry: null, ...more };
}

/** Lands messages that wait for nothing. Returns how many were landed. */
export function landAll(parts: InboxParts, ...messages: readonly Keyed[]): Promise<number> {
  return parts.inbox.land(
    messages.map((one) => landing(one)),
    WAIT_MS,
  );
}

/** Claims a message that the broker delivers, in the transaction, or in one of its own. */
export function claimKeyed(
  parts: InboxParts,
  { key, line }: Keyed,
  transaction?: Transaction,
  waitMs = WAIT_MS,
  more: ClaimOptions = {},
): Promise<ClaimState> {
  const options = { ...(line === undefined ? {} : { line }), ...more };
  if (transaction !== undefined) return parts.inbox.claim(key, transaction, waitMs, options);
  return parts.transactions.run((mine) => parts.inbox.claim(key, mine, waitMs, options));
}

/** Claims a message of the landing queue, before which there is none of its key. */
export function claimLanded(
  parts: InboxParts,
  of: Keyed,
  transaction?: Transaction,
  waitMs = WAIT_MS,
  seq = '0',
): Promise<ClaimState> {
  return claimKeyed(parts, of, transaction, waitMs, { landed: seq });
}

/** Buries a message in a transaction of its own. */
export function buryKeyed(
  parts: InboxParts,
  { key, message, line }: Keyed,
  more: Partial<InboxDeath> = {},
  landed?: LandedRow,
  waitMs = WAIT_MS,
): Promise<boolean> {
  const death = { message, attempts: 5, reason: 'exhausted', error: 'Error: no', ...more };
  return parts.transactions.run((mine) => parts.inbox.bury(key, death, mine, waitMs, line, landed));
}

/** A process that works on the landing queue of a group, and has all its free slots. */
export interface Worker extends Owner {
  readonly queue: SlotQueueStore;
}

export async function workerOf(parts: InboxParts, group: string, ttlMs?: number): Promise<Worker> {
  const queue = await parts.inbox.landingQueue(group);
  return { queue, ...(await own(queue, ttlMs)) };
}

/** Gives all slots of a worker to another one, as after its death. */
export async function takeOver(parts: InboxParts, group: string, from: Worker): Promise<Worker> {
  await from.queue.leave(from.incarnation);
  return workerOf(parts, group);
}

/** The messages that the worker may handle now: those that wait for nothing, and retries that are due. */
export async function readLanded(worker: Worker): Promise<readonly QueuedMessage[]> {
  const { queue, incarnation, leases } = worker;
  const bounds = { limit: 10_000, bytes: ANY_BYTES, inFlight: [] };
  const rows = [
    ...(await readAll(queue)),
    ...(await queue.readDueRetries(incarnation, leases, bounds)),
  ];
  return rows.sort((a, b) => (BigInt(a.seq) < BigInt(b.seq) ? -1 : 1));
}

/** The right of the worker to the row of a message. */
export async function landedRow(worker: Worker, { key }: Keyed): Promise<LandedRow> {
  const row = (await readLanded(worker)).find(({ message }) => message.id === key.id);
  assert.ok(row !== undefined, `message ${key.id} should be in the landing queue`);
  return rightTo(worker, row, key);
}

export function rightTo(worker: Worker, row: QueuedMessage, key: InboxKey): LandedRow {
  const lease = worker.leases.find(({ slot }) => slot === row.slot);
  assert.ok(lease !== undefined, `the worker should have slot ${row.slot}`);
  return { key, incarnation: worker.incarnation, lease, seq: row.seq };
}

/** Handles a landed message without an effect, in a transaction of its own. */
export async function handleLanded(
  parts: InboxParts,
  of: Keyed,
  row: LandedRow,
): Promise<ClaimState> {
  return parts.transactions.run(async (transaction) => {
    const state = await claimLanded(parts, of, transaction, WAIT_MS, row.seq);
    if (state === 'new') await parts.inbox.finishLanded(row, transaction);
    return state;
  });
}

export function freshGroup(): string {
  return freshName('group');
}
