import type {
  Clock,
  FaultPoint,
  FaultPoints,
  Logger,
  SlotQueueStore,
  WakeChannel,
  WakeUps,
} from '../../ports/index.js';
import type { SlotSettings } from './settings.js';
import type { SlotObserver } from './slot-observer.js';
import type { SlotWork } from './slot-work.js';

export interface SlotConsumerOptions {
  /** For log lines and {@link SlotConsumer.problem}. */
  readonly name: string;
  readonly store: SlotQueueStore;
  /** The name of this process among those that share the queue. Default: a new one. */
  readonly incarnation?: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The work that is done with rows: `publishBatch(...)` or `handleEach(...)`. */
  readonly work: SlotWork;
  /** Hints that something was written. Without them only polling finds it. */
  readonly wake?: { readonly wakeUps: WakeUps; readonly channel: WakeChannel };
  readonly settings?: Partial<SlotSettings>;
  readonly observer?: SlotObserver;
  readonly faults?: FaultPoints;
  /** The fault points around removing and changing rows. Default: those of a queue. */
  readonly points?: {
    readonly beforeComplete?: FaultPoint;
    readonly afterComplete?: FaultPoint;
    readonly beforeChange?: FaultPoint;
  };
}
