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
