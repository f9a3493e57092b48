import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../../clock/index.js';
import { inboxKeyOf, LandingWorker } from '../../messaging/index.js';
import type { Consumer, HandlerCall } from './consumer.js';
import { WAIT_MS } from './inbox-fixture.js';

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A worker on the landing queue of the consumer's group, in the same process. */
export function workerFor(
  consumer: Consumer,
  handle: (call: HandlerCall) => Promise<unknown>,
): LandingWorker {
  return new LandingWorker({
    group: consumer.group,
    inbox: consumer.parts.inbox,
    clock: systemClock,
    logger: quiet,
    concurrency: 20,
    handle: (delivery) => consumer.deliver(delivery, handle),
    settings: { pollIntervalMs: 20 },
  });
}

/** Runs the work while a worker handles what has landed, until `done` says that there is enough. */
export async function whileWorking(
  worker: LandingWorker,
  done: () => Promise<boolean>,
): Promise<void> {
  await worker.start();
  try {
    const until = systemClock.now() + WAIT_MS;
    while (!(await done())) {
      assert.ok(systemClock.now() < until, 'what has landed should be handled by now');
      await pause(5);
    }
  } finally {
    await worker.close(WAIT_MS);
  }
}

/** Whether nothing of the group waits in its landing queue, dead letters aside. */
export async function nothingWaits({ group, parts }: Consumer): Promise<boolean> {
  const { byStatus } = await (await parts.inbox.landingQueue(group)).stats();
  return [...byStatus].every(([status, count]) => status === 'dead_letter' || count === 0);
}

/** Handles what has landed until nothing waits. */
export function workOff(
  consumer: Consumer,
  handle: (call: HandlerCall) => Promise<unknown>,
): Promise<void> {
  return whileWorking(workerFor(consumer, handle), () => nothingWaits(consumer));
}

/** Has all dead letters of the group replayed, and handles them. */
export async function replayAll(
  consumer: Consumer,
  handle: (call: HandlerCall) => Promise<unknown>,
): Promise<void> {
  const letters = await consumer.parts.inbox.listDeadLetters({ group: consumer.group });
  const keys = letters.map(({ group, message }) => inboxKeyOf(group, message));
  assert.deepEqual(
    await consumer.parts.inbox.replayDeadLetters(keys),
    letters.map(() => 'done'),
  );
  await workOff(consumer, handle);
}
