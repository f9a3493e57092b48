import { LockTimeoutError } from '../errors/index.js';
import { InboxBusyError } from '../messaging/index.js';
import type { InboxKey } from '../ports/index.js';
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

/** @throws InboxBusyError where another transaction holds the message for longer than `waitMs` */
export async function lockMessage(
  key: InboxKey,
  own: MemoryTransaction,
  waitMs: number,
): Promise<void> {
  try {
    await own.lock(messageLock(nameOf(key)), { waitMs });
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
