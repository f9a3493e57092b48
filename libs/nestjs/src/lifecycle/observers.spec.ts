import { factHandlers, type InboxEvent } from '@sagaz/core';
import { expect, it } from 'vitest';
import { HandlerObservers } from '../handlers/index.js';
import { WorkObservers } from './index.js';

const lines: string[] = [];
const say = (): void => undefined;
const logger = {
  ...{ debug: say, info: say, warn: say },
  error: (message: string) => void lines.push(message),
};

function fails(): never {
  throw new Error('an observer that fails');
}

const saga = { sagaId: 's', saga: 'order', version: 1, createdAt: 0, traceparent: null };

it('tells every observer, also behind one that throws', () => {
  const told: string[] = [];
  const work = new WorkObservers(logger);
  work.add({
    written: fails,
    facts: () => fails,
    relay: fails,
  });
  work.add({
    written: (connection) => void told.push(`written ${connection}`),
    facts: () => factHandlers({ saga_started: ({ kind }) => told.push(kind) }),
    relay: () => ({ leases: () => void told.push('leases') }),
  });
  work.written('default', 1);
  work.facts('default').tell({ kind: 'saga_started', ...saga });
  work.relay('default').leases?.(1);
  expect(told).toEqual(['written default', 'saga_started', 'leases']);

  const handlers = new HandlerObservers(logger);
  handlers.add({ ended: (): unknown => Promise.reject(new Error('an observer that fails')) });
  handlers.add({ ended: fails, foreignEnded: fails });
  handlers.add({ ended: () => void told.push('ended') });
  const ended: Partial<InboxEvent> = { group: 'stock' };
  handlers.ended(ended as InboxEvent);
  expect(told).toHaveLength(4);
  expect(lines.map((line) => /'(\w+)'/.exec(line)?.[1])).toEqual([
    'written',
    'saga_started',
    'relay',
    'ended',
  ]);
});

it('tells a stream that is there already what comes to it later, by connection', async () => {
  const told: string[] = [];
  const work = new WorkObservers(logger);
  const facts = work.facts('billing');
  work.add({
    facts: (connection) => factHandlers({ saga_started: () => told.push(`${connection} started`) }),
    around: (connection) => (_attempt, run) => {
      told.push(`${connection} around`);
      return run();
    },
  });
  expect(work.facts('billing')).toBe(facts);
  for (const stream of [facts, work.facts('default')]) {
    stream.tell({ kind: 'saga_started', ...saga });
    const attempt = { role: 'step', step: 'a', item: null, attempt: 1 } as const;
    await stream.run({ kind: 'attempt_began', ...saga, ...attempt, queuedMs: 0 }, () =>
      Promise.resolve(),
    );
  }
  expect(told).toEqual(['billing started', 'billing around', 'default started', 'default around']);
});
