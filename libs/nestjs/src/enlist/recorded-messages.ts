import { AsyncLocalStorage } from 'node:async_hooks';
import type { OutboxMessage } from '@sagaz/core';

/** A message that waits on an entity until the entity is persisted. */
export interface RecordedMessage {
  /** Its place among everything that was said in this process, see {@link nextOrdinal}. */
  readonly ordinal: number;
  readonly type: string;
  /** Makes the message; may refuse it (a payload that does not match its schema). */
  readonly seal: (source: string) => Promise<OutboxMessage>;
}

let ordinal = 0;

/** Rises with everything that is said: messages of a transaction leave in the order they were said. */
export function nextOrdinal(): number {
  ordinal += 1;
  return ordinal;
}

const recorded = new WeakMap<object, readonly RecordedMessage[]>();
/**
 * How many messages may be lying on entities. An entity that is dropped takes its messages with it
 * unseen, so this may be too high, never too low: 0 means that nobody need look.
 */
let waiting = 0;
/** Entities on which the running code or one of its callers recorded something. */
const here = new AsyncLocalStorage<readonly WeakRef<object>[]>();

export function record(entity: object, message: RecordedMessage): void {
  recorded.set(entity, [...recordedOn(entity), message]);
  waiting += 1;
  const others = recordedHere().filter((other) => other !== entity);
  here.enterWith([...others, entity].map((one) => new WeakRef(one)));
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
 * Entities that still have messages which the running code, or one of its callers, recorded. Those of a
 * request that happens to run at the same time are none of its business.
 */
export function recordedHere(): readonly object[] {
  return (here.getStore() ?? []).flatMap((reference) => {
    const entity = reference.deref();
    return entity !== undefined && hasRecorded(entity) ? [entity] : [];
  });
}

/** Takes the messages off an entity. */
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
