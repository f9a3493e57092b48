import type { Broker } from './broker.js';
import type { Clock } from './clock.js';
import type { FaultPoints } from './fault-points.js';
import type { InboxStore } from './inbox-store.js';
import type { Logger } from './logger.js';
import type { OutboxStore } from './outbox-store.js';
import type { EngineRegistry, SagaStore } from './saga-store.js';
import type { Transactions } from './transaction.js';
import type { WakeUps } from './wake-ups.js';

/** What a process does in the background: runs sagas, publishes outboxes, handles messages. */
export type ProcessRole = 'engine' | 'relay' | 'consume';

/** Everything one database keeps for Sagaz. */
export interface Store {
  readonly name: string;
  readonly transactions: Transactions;
  readonly sagas: SagaStore;
  readonly engines: EngineRegistry;
  readonly outbox: OutboxStore;
  readonly inbox: InboxStore;
  readonly wakeUps: WakeUps;
  /**
   * Applies migrations if asked to, checks the server's settings and whether what the roles do is
   * allowed here, starts listening. May be called again after it rejected.
   */
  start(options: {
    readonly migrate: boolean;
    readonly roles?: readonly ProcessRole[];
  }): Promise<void>;
  /** Rejects with what is wrong. */
  health(): Promise<void>;
  close(): Promise<void>;
}

/** What a driver is told when the application starts. */
export interface StoreEnvironment {
  readonly service: string;
  readonly logger: Logger;
  readonly clock: Clock;
  /**
   * Options of the application's own connection pool, as they are (the password in them cannot be
   * enumerated, so they must not be copied), for a store that is configured with nothing else.
   */
  readonly connection?: unknown;
  /** For tests that interfere at the driver's own fault points. Default: nothing happens there. */
  readonly faults?: FaultPoints;
}

/** A store as it stands in a configuration: `store: postgres()`. */
export interface StoreDriver {
  /** Drivers of stores and of brokers look alike, and JavaScript lets one stand in the other's place. */
  readonly kind: 'store';
  readonly name: string;
  /** `VERSION` of the @sagaz/core that the driver works with, to be compared with the application's. */
  readonly version?: string;
  create(environment: StoreEnvironment): Promise<Store>;
}

export type BrokerEnvironment = StoreEnvironment;

/** A broker as it stands in a configuration: `broker: postgresBroker()`. */
export interface BrokerDriver {
  /** As in {@link StoreDriver.kind}. */
  readonly kind: 'broker';
  readonly name: string;
  /** As in {@link StoreDriver.version}. */
  readonly version?: string;
  create(environment: BrokerEnvironment): Promise<Broker>;
}
