import type { Broker } from './broker.js';
import type { Clock } from './clock.js';
import type { FaultPoints } from './fault-points.js';
import type { InboxStore } from './inbox-store.js';
import type { Logger } from './logger.js';
import type { OutboxStore } from './outbox-store.js';
import type { EngineRegistry } from './engine-registry.js';
import type { SagaStore } from './saga-store.js';
import type { Transactions } from './transaction.js';
import type { WakeUps } from './wake-ups.js';

/** The roles of a process: it runs sagas, publishes outboxes, or handles messages. */
export type ProcessRole = 'engine' | 'relay' | 'consume';

/** The data of Sagaz in one database. */
export interface Store {
  readonly name: string;
  readonly transactions: Transactions;
  readonly sagas: SagaStore;
  readonly engines: EngineRegistry;
  readonly outbox: OutboxStore;
  readonly inbox: InboxStore;
  readonly wakeUps: WakeUps;
  /**
   * Applies migrations if asked to, checks the server's settings and the privileges that the roles
   * need, and starts listening. May be called again after it rejected.
   */
  start(options: {
    readonly migrate: boolean;
    readonly roles?: readonly ProcessRole[];
  }): Promise<void>;
  /** Checks that the store can be used. Rejects with the problem. */
  health(): Promise<void>;
  close(): Promise<void>;
}

/** The parts of the application that a driver gets when the application starts. */
export interface StoreEnvironment {
  readonly service: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /**
   * The options of the application's own connection pool, for a store that has no database of its own
   * configured. They must not be copied, because the password in them is not enumerable.
   */
  readonly connection?: unknown;
  /** For tests that use the driver's own fault points. Default: the points do nothing. */
  readonly faults?: FaultPoints;
}

/** A store in a configuration: `store: postgres()`. */
export interface StoreDriver {
  /**
   * Distinguishes drivers of stores from those of brokers, which have the same shape, so that a swap is
   * noticed in JavaScript too.
   */
  readonly kind: 'store';
  readonly name: string;
  /** `VERSION` of the @sagaz/core that the driver works with, to be compared with the application's. */
  readonly version?: string;
  create(environment: StoreEnvironment): Promise<Store>;
}

/** The parts of the application that the driver of a broker gets when the application starts. */
export interface BrokerEnvironment extends StoreEnvironment {
  /**
   * The roles of the process, so that a driver can check at the start what they may do at the broker.
   * Default: none, and nothing is checked.
   */
  readonly roles?: readonly ProcessRole[];
}

/** A broker in a configuration: `broker: postgresBroker()`. */
export interface BrokerDriver {
  /** As in {@link StoreDriver.kind}. */
  readonly kind: 'broker';
  readonly name: string;
  /** As in {@link StoreDriver.version}. */
  readonly version?: string;
  create(environment: BrokerEnvironment): Promise<Broker>;
}
