import type { OutboxMessage } from '@sagaz/core';
import { ClsServiceManager } from 'nestjs-cls';

/** A message that waits on an entity until the entity is persisted. */
export interface RecordedMessage {
  /**
   * Its number among all messages that were published or recorded in this process, see {@link
   * nextOrdinal}.
   */
  readonly ordinal: number;
  readonly type: string;
  /**
   * Makes the message. Rejects if it cannot be sent, for instance because its payload does not match
   * its schema.
   */
  readonly seal: (source: string) => Promise<OutboxMessage>;
}

let ordinal = 0;

/**
 * Returns a number that rises with each message that is published or recorded, so that the messages of
 * a transaction are sent in that order.
 */
export function nextOrdinal(): number {
  ordinal += 1;
  return ordinal;
}

const recorded = new WeakMap<object, readonly RecordedMessage[]>();
/**
 * How many messages may be recorded on entities. The messages of an entity that is garbage collected
 * are not subtracted, so the number may be too high, but never too low. At 0 no entity has to be
 * searched.
 */
let waiting = 0;
const cls = ClsServiceManager.getClsService();
const RECORDED_HERE = Symbol('sagaz.recorded-here');

export function record(entity: object, message: RecordedMessage): void {
  recorded.set(entity, [...recordedOn(entity), message]);
  waiting += 1;
}

/**
 * Notes for {@link recordedHere} that the running code recorded a message on the entity outside of a
 * transaction. It is noted in the running context of nestjs-cls and not in an `AsyncLocalStorage` of our
 * own, because `enterWith` would change the context of the caller as well: up to its first `await` an
 * async function runs in that. A loop over jobs would so see in each job what another one recorded. Code
 * without such a context notes nothing.
 */
export function noteRecordedHere(entity: object): void {
  if (!cls.isActive()) return;
  const others = recordedHere().filter((other) => other !== entity);
  // A new list, because contexts inside this one have the old list, and must leave nothing in this one.
  cls.set(
    RECORDED_HERE,
    [...others, entity].map((one) => new WeakRef(one)),
  );
}

export function anyRecorded(): boolean {
  return waiting > 0;
}

export function hasRecorded(entity: object): boolean {
  return recorded.has(entity);
}

export function recordedOn(entity: object): readonly RecordedMessage[] {
  return recorded.get(entity) ?? [];
}

/**
 * Returns the entities that still have messages which were recorded outside of a transaction in the
 * running context of nestjs-cls (a request, a handler, a step, a transaction) or in one around it; not
 * those of other requests that run at the same time.
 */
export function recordedHere(): readonly object[] {
  if (!cls.isActive()) return [];
  const noted = cls.get<readonly WeakRef<object>[] | undefined>(RECORDED_HERE) ?? [];
  return noted.flatMap((reference) => {
    const entity = reference.deref();
    return entity !== undefined && hasRecorded(entity) ? [entity] : [];
  });
}

/** Removes the messages from an entity and returns them. */
export function takeRecorded(entity: object): readonly RecordedMessage[] {
  const messages = recordedOn(entity);
  recorded.delete(entity);
  waiting -= messages.length;
  return messages;
}

/** Puts a message back on its entity, because the transaction that took it was rolled back. */
export function restoreRecorded(entity: object, message: RecordedMessage): void {
  const messages = [...recordedOn(entity), message];
  recorded.set(
    entity,
    messages.sort((a, b) => a.ordinal - b.ordinal),
  );
  waiting += 1;
}

export function isRecorded(entity: object, message: RecordedMessage): boolean {
  return recordedOn(entity).includes(message);
}
