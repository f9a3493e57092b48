import assert from 'node:assert/strict';
import { systemClock } from '../../clock/index.js';
import { whileExtended } from '../../messaging/index.js';
import type { Delivery, Logger } from '../../ports/index.js';
import { freshName, type ContractCase } from '../contract-case.js';
import { Listener, messageOf, publish, type BrokerFixture } from './broker-fixture.js';
import { deferred } from './slot-queue-fixture.js';

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** How many extensions show that the delivery has outlived the time after which the broker gives it away. */
const MANY = 12;

/**
 * The right to go on with a delivery, of brokers that give a message to another consumer when its delivery does
 * not end in time. The broker of the fixture does so within a second.
 */
export const extensionCases: readonly ContractCase<BrokerFixture>[] = [
  {
    name: 'gives a message to nobody else while its delivery is extended, however long it takes',
    guards: 'Hole: a handler that takes longer than the broker waits is started twice.',
    async run(fixture) {
      const topic = freshName('topic');
      const ended = deferred();
      let extended = 0;
      const handle = (delivery: Delivery) =>
        whileExtended(
          counted(delivery, () => {
            extended += 1;
            if (extended >= MANY) ended.resolve();
          }),
          async () => {
            await ended.promise;
            return { kind: 'done' } as const;
          },
          { clock: systemClock, logger: quiet },
        );
      const listener = await new Listener(fixture, handle).subscribe(fixture.broker, topic);
      const other = await fixture.newBroker();
      await publish(other, [messageOf(topic, 'k', 1), messageOf(topic, 'k', 2)]);
      await listener.got(2);
      assert.deepEqual(listener.bodies(), ['k:1', 'k:2']);
      assert.ok(extended >= MANY, 'the delivery was not extended');
      assert.ok(listener.deliveries.every(({ signal }) => !signal.aborted));
      await listener.close();
    },
  },
  {
    name: 'gives a message to somebody else when its delivery neither ends nor is extended',
    guards: 'A process that hangs must not keep a message for ever; and it is told to stop.',
    async run(fixture) {
      const topic = freshName('topic');
      const listener = new Listener(fixture, ({ attempt }) =>
        attempt === 1 ? new Promise(() => undefined) : { kind: 'done' },
      );
      await listener.subscribe(fixture.broker, topic);
      await publish(fixture.broker, [messageOf(topic, 'k', 1)]);
      await listener.got(2);
      const [first, second] = listener.deliveries;
      assert.equal(second?.attempt, 2);
      assert.equal(first?.signal.aborted, true, 'the first handler is not told to stop');
      assert.equal(second.signal.aborted, false);
      assert.ok(first.extension, 'the delivery cannot be extended');
      await assert.rejects(first.extension.extend(), 'what is lost is extended');
      await listener.close();
    },
  },
];

/** A delivery that tells of each of its extensions. */
function counted(delivery: Delivery, extended: () => void): Delivery {
  const { extension } = delivery;
  if (extension === undefined) return delivery;
  const extend = async (): Promise<void> => {
    await extension.extend();
    extended();
  };
  return { ...delivery, extension: { everyMs: extension.everyMs, extend } };
}
