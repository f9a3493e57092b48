import {
  handleEach,
  SlotConsumer,
  type RowOutcome,
  type SlotSettings,
} from '../messaging/index.js';
import type { Clock, Logger, QueuedMessage, SlotQueueStore } from '../ports/index.js';
import { textsOf } from './messaging/index.js';
import { RelayBench } from './relay-bench.js';

const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const done: RowOutcome = { kind: 'complete' };

/** Consumers over one queue in memory, and what they were given. */
export class ConsumerBench extends RelayBench {
  readonly handled: string[] = [];

  consumer(
    given: {
      readonly store?: SlotQueueStore;
      /** The clock of the consumer's process. Default: that of the bench. */
      readonly clock?: Clock;
      readonly concurrency?: number;
      readonly handle?: (
        row: QueuedMessage,
        signal: AbortSignal,
        afterDeath: boolean,
      ) => RowOutcome | Promise<RowOutcome>;
      readonly patienceMs?: number;
      readonly timeoutMs?: number | null;
      readonly settings?: Partial<SlotSettings>;
      readonly logger?: Logger;
    } = {},
  ): SlotConsumer {
    const { clock = this.clock } = given;
    return new SlotConsumer({
      name: 'spec',
      store: given.store ?? this.outbox,
      clock,
      logger: given.logger ?? silent,
      wake: { wakeUps: this.wakeUps, channel: 'outbox' },
      faults: this.faults,
      work: handleEach({
        name: 'spec',
        clock,
        concurrency: given.concurrency ?? 4,
        ...(given.patienceMs === undefined ? {} : { patienceMs: given.patienceMs }),
        ...(given.timeoutMs === undefined ? {} : { timeoutMs: given.timeoutMs }),
        faults: this.faults,
        handle: async (row, signal, afterDeath) => {
          this.handled.push(...textsOf([row.message]));
          return (await given.handle?.(row, signal, afterDeath)) ?? done;
        },
      }),
      ...(given.settings === undefined ? {} : { settings: given.settings }),
    });
  }
}
