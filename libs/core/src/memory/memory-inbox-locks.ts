import { LockTimeoutError } from '../errors/index.js';
import { hashOfLine, hashOfMessage, InboxBusyError } from '../messaging/index.js';
import type { InboxKey, InboxLine } from '../ports/index.js';
import type { MemoryTransaction } from './memory-transaction.js';

export function nameOf(key: InboxKey): string {
  return JSON.stringify([key.tenant, key.group, key.source, key.id]);
}

export function participantName(tenant: string, idempotencyKey: string): string {
  return JSON.stringify([tenant, idempotencyKey]);
}

export const messageLock = (name: string): string => `inbox:${name}`;
export const participantLock = (name: string): string => `participant:${name}`;
export const notesLock = (name: string): string => `inbox-notes:${name}`;

/**
 * Locks the key in whose order a message is, or the message itself if it has none, as every handler does.
 *
 * @throws InboxBusyError where another handler holds it for longer than `waitMs`
 */
export async function lockLine(
  key: InboxKey,
  line: InboxLine | undefined,
  own: MemoryTransaction,
  waitMs: number,
): Promise<void> {
  const { group, tenant, source, id } = key;
  const hash =
    line === undefined
      ? hashOfMessage(group, tenant, source, id)
      : hashOfLine(group, line.tenant, line.topic, line.key);
  await lockedInTime(`line:${hash}`, key, own, waitMs);
}

/** @throws InboxBusyError where another transaction holds the message for longer than `waitMs` */
export async function lockMessage(
  key: InboxKey,
  own: MemoryTransaction,
  waitMs: number,
): Promise<void> {
  await lockedInTime(messageLock(nameOf(key)), key, own, waitMs);
}

async function lockedInTime(
  lock: string,
  key: InboxKey,
  own: MemoryTransaction,
  waitMs: number,
): Promise<void> {
  try {
    await own.lock(lock, { waitMs });
  } catch (error) {
    throw error instanceof LockTimeoutError ? InboxBusyError.ofMessage(key, waitMs, error) : error;
  }
}

/** @throws InboxBusyError where another transaction holds the idempotency key for longer than `waitMs` */
export async function lockParticipant(
  name: string,
  idempotencyKey: string,
  own: MemoryTransaction,
  waitMs: number,
): Promise<void> {
  try {
    await own.lock(participantLock(name), { waitMs });
  } catch (error) {
    throw error instanceof LockTimeoutError
      ? InboxBusyError.ofIdempotencyKey(idempotencyKey, waitMs, error)
      : error;
  }
}
