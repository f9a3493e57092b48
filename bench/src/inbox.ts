import { InboxProcessor, jsonCodec, parseRetry, systemClock, type Store } from '@sagaz/core';
import { quietLogger } from './store.js';

/** The handler behind the inbox in every part of the bench. */
export const handler = {
  group: 'bench',
  type: 'bench.happened',
  retry: parseRetry({}),
  codec: jsonCodec,
};

/** An inbox of the store, as an application has it. */
export function processorOf(store: Store): InboxProcessor {
  return new InboxProcessor({
    inbox: store.inbox,
    outbox: store.outbox,
    transactions: store.transactions,
    service: 'bench',
    clock: systemClock,
    logger: quietLogger,
  });
}
