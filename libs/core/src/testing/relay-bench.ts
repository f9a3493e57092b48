import {
  MemoryBroker,
  MemoryOutboxStore,
  MemoryTransactions,
  MemoryWakeUps,
} from '../memory/index.js';
import type { Broker, Clock, Logger, NewMail, OutboxMessage } from '../ports/index.js';
import { textsOf } from './messaging/index.js';
import { FaultBoard } from './gates.js';
import { VirtualClock } from './virtual-clock.js';
import {
  Relay,
  type MessageSigning,
  type RelayObserver,
  type RelaySettings,
} from '../messaging/index.js';

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** A relay over memory, driven by a clock that stands still. */
export class RelayBench {
  readonly clock = new VirtualClock();
  readonly transactions = new MemoryTransactions(this.clock);
  readonly wakeUps = new MemoryWakeUps();
  readonly mail: NewMail[] = [];
  readonly outbox = new MemoryOutboxStore({
    transactions: this.transactions,
    clock: this.clock,
    wakeUps: this.wakeUps,
    putMail: async (mail) => void this.mail.push(...mail),
  });
  readonly faults = new FaultBoard();
  readonly broker: MemoryBroker;
  readonly relays: Relay[] = [];

  constructor(options: { readonly orderedBatches?: boolean } = {}) {
    this.broker = new MemoryBroker({ clock: this.clock, ...options });
  }

  relay(
    settings: Partial<RelaySettings> = {},
    observer: RelayObserver = {},
    parts: {
      clock?: Clock;
      broker?: Broker;
      outbox?: MemoryOutboxStore;
      signing?: MessageSigning;
      logger?: Logger;
    } = {},
  ): Relay {
    const relay = new Relay({
      outbox: parts.outbox ?? this.outbox,
      broker: parts.broker ?? this.broker,
      clock: parts.clock ?? this.clock,
      logger: parts.logger ?? silent,
      wakeUps: this.wakeUps,
      replyMail: (reply) => ({
        sagaId: reply.key,
        kind: 'reply',
        dedupeKey: reply.headers['sagaz-idempotency-key'] ?? '',
        data: new TextDecoder().decode(reply.payload),
      }),
      faults: this.faults,
      observer,
      ...(parts.signing === undefined ? {} : { signing: parts.signing }),
      settings: {
        retry: { attempts: 3, backoffMs: 1_000, factor: 2, maxDelayMs: 60_000, jitter: 0 },
        ...settings,
      },
    });
    this.relays.push(relay);
    return relay;
  }

  async write(...messages: OutboxMessage[]): Promise<void> {
    await this.outbox.append(messages);
  }

  published(): string[] {
    return textsOf(this.broker.published);
  }

  async count(): Promise<number> {
    let count = 0;
    for (const rows of (await this.outbox.stats()).byStatus.values()) count += rows;
    return count;
  }
}
