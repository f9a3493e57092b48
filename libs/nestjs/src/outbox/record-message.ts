import { systemClock, type MessageContract } from '@sagaz/core';
import { ambientTransactionFor, nextOrdinal, record } from '../enlist/index.js';
import { draftMessage, type MessageOptions } from './message-draft.js';

/**
 * Records a message on an entity; it is published when the entity is saved or removed through its
 * repository, in that transaction, also when no column has changed. When the transaction is rolled
 * back the entity has its message again.
 *
 * ```ts
 * confirm() {
 *   this.status = 'confirmed';
 *   recordMessage(this, OrderConfirmed, { orderId: this.id }, { key: this.id });
 * }
 * ```
 *
 * A message recorded inside a transaction on an entity that is not saved in it fails the commit with
 * `UnsavedEntityMessagesError`. `update()`, `upsert()` and query builders have no entity in hand and
 * carry no messages.
 *
 * @throws UnserializableValueError, InvalidHeaderError, InvalidDurationError
 */
export function recordMessage<Payload>(
  entity: object,
  contract: MessageContract<Payload>,
  payload: NoInfer<Payload>,
  options: MessageOptions = {},
): void {
  const draft = draftMessage(contract, payload, options, systemClock);
  const message = {
    ordinal: nextOrdinal(),
    type: contract.type,
    seal: (source: string) => draft.seal(source),
  };
  record(entity, message);
  ambientTransactionFor(entity)?.await(entity, message);
}
