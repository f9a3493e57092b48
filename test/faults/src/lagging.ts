import { setTimeout as pause } from 'node:timers/promises';
import type { Broker, Message } from '@sagaz/core';
import { bodyOf } from './messages.js';

const LAG_MS = 20;

/**
 * Every other note of a key takes longer than the next one, which would overtake it if the order was
 * not kept.
 */
export async function lag({ type, payload }: Message): Promise<void> {
  if (type !== 'note.taken') return;
  const { n = 0 } = bodyOf(payload);
  if (n % 2 === 1) await pause(LAG_MS);
}

/** Takes a batch later if it begins with an odd note. */
export function lagging(broker: Broker): Broker {
  return {
    name: broker.name,
    orderedBatches: broker.orderedBatches,
    keepsRetries: broker.keepsRetries,
    publish: async (batch, deadline) => {
      if (batch[0] !== undefined) await lag(batch[0]);
      return broker.publish(batch, deadline);
    },
    ensure: (topics) => broker.ensure(topics),
    subscribe: (request) => broker.subscribe(request),
    health: () => broker.health(),
    lag: () => broker.lag(),
    close: () => broker.close(),
  };
}
