import { systemClock, type MessageContract } from '@sagaz/core';
import { ambientTransactionFor, nextOrdinal, noteRecordedHere, record } from '../enlist/index.js';
import { draftMessage, type MessageOptions } from './message-draft.js';

/**
 * Records a message on an entity; it is published when the entity is saved, inserted or removed through
 * a repository, a manager or a query builder that is given the entity itself, in that transaction, also
 * when no column has changed. When the transaction is rolled back the entity has its message again.
 *
 * ```ts
 * confirm() {
 *   this.status = 'confirmed';
 *   recordMessage(this, OrderConfirmed, { orderId: this.id }, { key: this.id });
 * }
 * ```
 *
 * A message recorded inside a transaction on an entity that is not saved in it fails the commit with
 * `UnsavedEntityMessagesError`. The same error refuses an `update()`, `delete()` or query builder that
 * writes the entity's row by its id and has not got the entity in hand, in the same transaction or, if the
 * message was recorded outside of one, in the same request, handler, step or context of nestjs-cls. SQL of
 * your own is not seen.
 *
 * @throws UnserializableValueError, InvalidHeaderError, InvalidDurationError
 * @throws TransactionEndedError where the transaction around the code has ended
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
  const transaction = ambientTransactionFor(entity, `record ${contract.type}`);
  record(entity, message);
  if (transaction === undefined) noteRecordedHere(entity);
  else transaction.await(entity, message);
}
