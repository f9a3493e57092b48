import type { Broker, Message, PublishOutcome } from '@sagaz/core';

/**
 * A broker that does nothing: it takes every message, but those of a topic that is away. It reports each
 * batch without those.
 */
export function nullBroker(
  onPublish: (batch: readonly Message[]) => void,
  away: string | null = null,
): Broker {
  const since = new Date();
  const began = performance.now();
  return {
    name: 'null',
    orderedBatches: true,
    keepsRetries: true,
    publish: (batch) => {
      const taken = batch.filter(({ topic }) => topic !== away);
      onPublish(taken);
      return Promise.resolve(batch.map(({ topic }) => (topic === away ? AWAY : TAKEN)));
    },
    subscribe: () => Promise.reject(new Error('The null broker delivers nothing.')),
    ensure: () => Promise.resolve([]),
    health: () => Promise.resolve({ state: 'up', since, forMs: performance.now() - began }),
    lag: () => Promise.resolve([]),
    close: () => Promise.resolve(),
  };
}

const TAKEN: PublishOutcome = { kind: 'acknowledged' };
const AWAY: PublishOutcome = { kind: 'unavailable', error: new Error('The topic is away.') };
