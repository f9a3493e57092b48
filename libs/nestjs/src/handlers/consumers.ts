import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import {
  HEADERS,
  InboxProcessor,
  LandingWorker,
  SoloGate,
  whileExtended,
  type Broker,
  type Clock,
  type Delivery,
  type HandledDelivery,
  type InboxHandler,
  type Logger,
  type Timer,
} from '@sagaz/core';
import { KeptSubscription } from '../broker/index.js';
import { Connections, detached, type Connection } from '../enlist/index.js';
import {
  WorkObservers,
  Workers,
  type LandingQueueState,
  type StuckMessages,
  type Worker,
} from '../lifecycle/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { SAGAZ_BROKER, SAGAZ_CLOCK, SAGAZ_LOGGER, SAGAZ_OPTIONS } from '../tokens/index.js';
import { declaredHandlers } from './declared-handlers.js';
import { HandlerSetupError, UnknownCommandError } from './errors.js';
import { HandlerObservers } from './handler-observers.js';
import { HandlerSet } from './handler-set.js';
import { InboxHousekeeping } from './inbox-housekeeping.js';
import { callHandler } from './message-pipeline.js';
import { SagazServer } from './sagaz-server.js';

const REMIND_AFTER_MS = 10_000;
const NOT_CONNECTED = 'Call connectSagaz(app) in main.ts before app.startAllMicroservices().';
const NOT_STARTED =
  'connectSagaz(app) was called, and app.startAllMicroservices() was not: write await app.startAllMicroservices() after it in main.ts.';

/** Subscribes each consumer group of this process at the broker and has its messages handled. */
@Injectable()
export class Consumers implements Worker, OnModuleInit {
  readonly name = 'consumers';
  readonly #subscriptions: KeptSubscription[] = [];
  /** By connection and group. */
  readonly #landings = new Map<Connection, Map<string, LandingWorker>>();
  readonly #housekeeping: InboxHousekeeping[] = [];
  readonly #processors = new Map<Connection, InboxProcessor>();
  readonly #gate: SoloGate;
  #declared: readonly string[] = [];
  #reminder: Timer | null = null;
  #state: 'idle' | 'waiting' | 'consuming' | 'stopped' = 'idle';

  constructor(
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
    @Inject(SAGAZ_BROKER) private readonly broker: Broker | null,
    @Inject(SAGAZ_CLOCK) private readonly clock: Clock,
    @Inject(SAGAZ_LOGGER) private readonly logger: Logger,
    @Inject(SagazServer) private readonly server: SagazServer,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(HandlerSet) private readonly handlers: HandlerSet,
    @Inject(HandlerObservers) private readonly observers: HandlerObservers,
    @Inject(Workers) private readonly workers: Workers,
    @Inject(WorkObservers) private readonly work: WorkObservers,
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
  ) {
    this.#gate = new SoloGate(clock);
  }

  onModuleInit(): void {
    if (this.options.roles.consume) this.workers.add(this);
  }

  async start(): Promise<void> {
    this.#declared = declaredHandlers(this.discovery);
    // Inbox rows are pruned on all connections, because handlers on Nest's own transports write rows
    // too.
    for (const { store } of this.connections.all) {
      const { keepDone } = this.options.inbox;
      const housekeeping = new InboxHousekeeping(store.inbox, this.clock, this.logger, keepDone);
      housekeeping.start();
      this.#housekeeping.push(housekeeping);
    }
    if (this.#declared.length === 0) return;
    if (this.broker === null) {
      throw new HandlerSetupError(
        this.#declared,
        'there is no broker to take messages from.',
        'Give one to SagazModule.forRoot: broker: postgresBroker().',
      );
    }
    this.#state = 'waiting';
    if (!this.server.connected) {
      this.logger.error(
        `Messages pile up: ${this.#declared.join(', ')} would handle them, but no transport is connected. ${NOT_CONNECTED}`,
      );
    }
    const { broker } = this;
    this.server.whenListening(() => {
      detached(() => this.#consume(broker));
    });
    // The reminder comes later, because an application may call app.listen() before
    // app.startAllMicroservices().
    this.#reminder = this.clock.after(REMIND_AFTER_MS, () => {
      if (this.#state === 'waiting' && this.server.connected) {
        this.logger.error(`Messages pile up: ${this.problem() ?? ''}`);
      }
    });
    await Promise.resolve();
  }

  async stop(withinMs: number): Promise<void> {
    this.#state = 'stopped';
    this.#reminder?.cancel();
    for (const housekeeping of this.#housekeeping) housekeeping.stop();
    await Promise.all([
      ...this.#subscriptions.splice(0).map((subscription) => subscription.close(withinMs)),
      ...this.#landingWorkers().map((landing) => landing.close(withinMs)),
    ]);
    this.#landings.clear();
  }

  problem(): string | null {
    if (this.#state === 'waiting') {
      const remedy = this.server.connected ? NOT_STARTED : NOT_CONNECTED;
      return `No messages come to ${this.#declared.join(', ')}. ${remedy}`;
    }
    for (const { problem } of [...this.#landingWorkers(), ...this.#processors.values()]) {
      if (problem !== null) return problem;
    }
    for (const subscription of this.#subscriptions) {
      const problem = subscription.problem();
      if (problem !== null) return problem;
    }
    return null;
  }

  /** A process that has the role but no handlers only prunes the inbox, which needs no broker. */
  withoutBroker(): 'stops' | 'waits' {
    return this.#declared.length > 0 ? 'stops' : 'waits';
  }

  stuck(): readonly StuckMessages[] {
    return this.handlers.groups.map((name) => {
      const subscription = this.#subscriptions.find(({ group }) => group === name);
      return { kind: 'group', name, count: subscription?.stuck() ?? 0 };
    });
  }

  landings(): readonly LandingQueueState[] {
    return [...this.#landings].flatMap(([{ name }, groups]) =>
      [...groups].map(([group, { state }]) => ({ connection: name, group, ...state })),
    );
  }

  #consume(broker: Broker): void {
    if (this.#state !== 'waiting') return;
    this.#state = 'consuming';
    for (const group of this.handlers.groups) {
      const mine = this.handlers.all.filter(({ inbox }) => inbox.group === group);
      for (const connection of new Set(mine.map((handler) => handler.connection))) {
        this.#startLanding(connection, group);
      }
      this.#subscribe(broker, group);
    }
  }

  /** A broker that is away is no reason to end the process: services may start before it. */
  #subscribe(broker: Broker, group: string): void {
    const subscription = new KeptSubscription({
      broker,
      clock: this.clock,
      logger: this.logger,
      onFailure: (failure) => this.work.brokerFailed({ failure }),
      request: {
        group,
        topics: this.handlers.topicsOf(group),
        concurrency: this.options.inbox.concurrency,
        // Each handler has a time limit of its own, so the subscription needs none.
        timeoutMs: null,
        handle: (delivery) =>
          whileExtended(delivery, () => this.#receive(delivery), {
            clock: this.clock,
            logger: this.logger,
            onFailure: () => this.work.extensionFailed({ group }),
          }),
        land: (deliveries) => this.#land(deliveries),
      },
    });
    this.#subscriptions.push(subscription);
    subscription.begin();
  }

  /** Handles a message of the broker, or acknowledges one that is not for this group. */
  async #receive(delivery: Delivery): Promise<HandledDelivery> {
    const connection = this.#connectionOf(delivery);
    if (connection === undefined) return { kind: 'done' };
    const landing = this.#landings.get(connection)?.get(delivery.group);
    return landing?.receive(delivery) ?? this.#handle(connection, delivery);
  }

  /**
   * The connection on which a message of the broker is handled. Undefined: the group has no handler for it, and
   * it is no command of one of its topics, which would have to be answered.
   */
  #connectionOf({ group, message }: Delivery): Connection | undefined {
    const handler = this.handlers.find(group, message.type);
    if (handler !== undefined) return handler.connection;
    const role = message.headers[HEADERS.role];
    if (role !== 'command' && role !== 'compensation') return undefined;
    return this.handlers.commandHandlerOf(group, message.topic)?.connection;
  }

  /**
   * Has a message handled on a connection. One without a handler there is given up: a command, or a message that
   * landed when this application, or an earlier version, had a handler for it.
   */
  #handle(connection: Connection, delivery: Delivery): Promise<HandledDelivery> {
    const { group, message } = delivery;
    const processor = this.#processorOf(connection);
    const handler = this.handlers.find(group, message.type);
    if (handler?.connection === connection) {
      return processor.receive(delivery, handler.inbox, (attempt) => callHandler(handler, attempt));
    }
    const neighbour = this.handlers.on(connection, group);
    if (neighbour === undefined) return Promise.resolve({ kind: 'done' });
    const unknown: InboxHandler = { ...neighbour.inbox, type: message.type, blocks: false };
    return processor.receive(delivery, unknown, () =>
      Promise.reject(new UnknownCommandError(message.type, group)),
    );
  }

  /** They follow a message that has landed, and so land in its store. A group whose handlers have several
   * stores has each message claimed by itself. */
  async #land(deliveries: readonly Delivery[]): Promise<boolean> {
    const connections = new Set(
      deliveries.map(({ group, message }) => this.handlers.find(group, message.type)?.connection),
    );
    const [connection] = connections;
    if (connections.size !== 1 || connection === undefined) return false;
    return this.#processorOf(connection).landFollowers(deliveries);
  }

  /**
   * Returns the processor of a connection. There is one for each, because it knows which messages are
   * being handled in this process.
   */
  #processorOf(connection: Connection): InboxProcessor {
    let processor = this.#processors.get(connection);
    if (processor === undefined) {
      processor = this.#makeProcessor(connection);
      this.#processors.set(connection, processor);
    }
    return processor;
  }

  #makeProcessor(connection: Connection): InboxProcessor {
    const { name, store } = connection;
    const { signing } = this.options;
    return new InboxProcessor({
      inbox: store.inbox,
      outbox: store.outbox,
      transactions: store.transactions,
      service: this.options.service,
      clock: this.clock,
      logger: this.logger,
      observer: {
        ended: (event) => this.observers.ended(event),
        landed: (event) => this.observers.landed(event),
        storeFailed: ({ failure }) => this.work.inboxFailed({ connection: name, failure }),
      },
      ...(signing === undefined ? {} : { signing }),
      keepParticipantsMs: this.options.inbox.keepKeys,
      gate: this.#gate,
      // A quarter of the places, so that messages that have timed out before leave places to others.
      slowPlaces: Math.max(1, Math.floor(this.options.inbox.concurrency / 4)),
      keepsRetries: this.#keepsRetries,
      mayLand: (group) => this.#landings.get(connection)?.get(group)?.mayLand ?? true,
    });
  }

  get #keepsRetries(): boolean {
    return this.broker?.keepsRetries ?? true;
  }

  #landingWorkers(): readonly LandingWorker[] {
    return [...this.#landings.values()].flatMap((groups) => [...groups.values()]);
  }

  #startLanding(connection: Connection, group: string): void {
    const landing = new LandingWorker({
      group,
      inbox: connection.store.inbox,
      clock: this.clock,
      logger: this.logger,
      concurrency: this.options.inbox.concurrency,
      handle: (delivery) => this.#handle(connection, delivery),
      wakeUps: connection.store.wakeUps,
      keepsRetries: this.#keepsRetries,
      bounds: this.options.inbox.landing,
    });
    const groups = this.#landings.get(connection) ?? new Map<string, LandingWorker>();
    this.#landings.set(connection, groups.set(group, landing));
    detached(() => void landing.start());
  }
}
