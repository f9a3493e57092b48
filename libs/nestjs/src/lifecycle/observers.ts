import { Inject, Injectable } from '@nestjs/common';
import {
  FactStream,
  guardedObserver,
  type AroundAttempt,
  type FactListener,
  type Logger,
  type RelayObserver,
  type StoreFailure,
  type UnservedQueue,
  type UnservedSagas,
} from '@sagaz/core';
import type { EnlistObserver } from '../enlist/index.js';
import { SAGAZ_LOGGER } from '../tokens/index.js';

/** Receives the events of this process by connection; for metrics. */
export interface WorkObserver extends EnlistObserver {
  /** Returns the observer for the relay of a connection. Called once for each. */
  relay?(connection: string): RelayObserver;
  /**
   * Returns the listener for the facts that the engine of a connection tells; `factHandlers` makes one of
   * a function for each kind of fact. Called once for each connection.
   */
  facts?(connection: string): FactListener;
  /**
   * Returns the function within which the methods of steps, compensations and recoveries of the sagas of a
   * connection are called, for spans. Called once for each connection.
   */
  around?(connection: string): AroundAttempt;
  /** Called every half minute with the queues that no process has served for a minute or longer. */
  unserved?(queues: readonly UnservedQueue[]): void;
  /**
   * Called every half minute for each connection with the due sagas that no living engine runs, by
   * definition; also when there are none. `found` is null while the database refuses this process the
   * look.
   */
  unservedSagas?(event: {
    readonly connection: string;
    readonly found: readonly UnservedSagas[] | null;
  }): void;
  /**
   * Connecting to the broker, or subscribing a group at it, failed and is tried again. The first try to
   * connect is over before any observer can be added, so no observer receives it.
   */
  brokerFailed?(event: { readonly failure: StoreFailure }): void;
  /** The right to go on with a delivery of the broker could not be extended; it is tried again. */
  extensionFailed?(event: { readonly group: string }): void;
  /**
   * The database refused what the inbox of a connection asks to handle a message, which is tried again.
   */
  inboxFailed?(event: { readonly connection: string; readonly failure: StoreFailure }): void;
  /** The database of a connection did not take a reply to its sagas, which is tried again. */
  repliesFailed?(event: { readonly connection: string; readonly failure: StoreFailure }): void;
  /** A reply was dropped, because no saga here can be told of it. */
  replyDropped?(event: { readonly reason: DroppedReply }): void;
}

/**
 * Why a reply was dropped before it reached a saga: it names none, no saga has the id it names, or it is
 * not signed as it should be and no saga has that id.
 */
export type DroppedReply = 'malformed' | 'unknown_saga' | 'untrusted';

function subscribe(stream: FactStream, observer: WorkObserver, connection: string): void {
  const listener = observer.facts?.(connection);
  if (listener !== undefined) stream.subscribe(listener);
  const around = observer.around?.(connection);
  if (around !== undefined) stream.around(around);
}

type Events<Observer> = { [Name in keyof Observer]-?: NonNullable<Observer[Name]> };

/** Passes events of this process on to all observers. */
@Injectable()
export class WorkObservers implements Required<Omit<WorkObserver, 'facts' | 'around'>> {
  readonly #observers: WorkObserver[] = [];
  readonly #streams = new Map<string, FactStream>();

  constructor(@Inject(SAGAZ_LOGGER) private readonly logger: Logger) {}

  /**
   * Adds an observer. Must be called before the application has bootstrapped. One that throws is logged,
   * and affects nothing else.
   */
  add(observer: WorkObserver): void {
    const guarded = this.#guarded(observer);
    this.#observers.push(guarded);
    for (const [connection, stream] of this.#streams) subscribe(stream, guarded, connection);
  }

  written(connection: string, count: number): void {
    for (const observer of this.#observers) observer.written?.(connection, count);
  }

  lost(connection: string, count: number): void {
    for (const observer of this.#observers) observer.lost?.(connection, count);
  }

  unserved(queues: readonly UnservedQueue[]): void {
    for (const observer of this.#observers) observer.unserved?.(queues);
  }

  unservedSagas(event: {
    readonly connection: string;
    readonly found: readonly UnservedSagas[] | null;
  }): void {
    for (const observer of this.#observers) observer.unservedSagas?.(event);
  }

  brokerFailed(event: { readonly failure: StoreFailure }): void {
    for (const observer of this.#observers) observer.brokerFailed?.(event);
  }

  extensionFailed(event: { readonly group: string }): void {
    for (const observer of this.#observers) observer.extensionFailed?.(event);
  }

  inboxFailed(event: { readonly connection: string; readonly failure: StoreFailure }): void {
    for (const observer of this.#observers) observer.inboxFailed?.(event);
  }

  repliesFailed(event: { readonly connection: string; readonly failure: StoreFailure }): void {
    for (const observer of this.#observers) observer.repliesFailed?.(event);
  }

  replyDropped(event: { readonly reason: DroppedReply }): void {
    for (const observer of this.#observers) observer.replyDropped?.(event);
  }

  relay(connection: string): RelayObserver {
    const all = once(() => this.#observers.flatMap((one) => this.#all(one.relay?.(connection))));
    const events: Events<RelayObserver> = {
      published: (...given) => all().forEach((one) => one.published?.(...given)),
      failed: (...given) => all().forEach((one) => one.failed?.(...given)),
      deadLettered: (...given) => all().forEach((one) => one.deadLettered?.(...given)),
      paused: (...given) => all().forEach((one) => one.paused?.(...given)),
      timedOut: (...given) => all().forEach((one) => one.timedOut?.(...given)),
      lag: (...given) => all().forEach((one) => one.lag?.(...given)),
      leases: (...given) => all().forEach((one) => one.leases?.(...given)),
      storeFailed: (event) => all().forEach((one) => one.storeFailed?.(event)),
    };
    return events;
  }

  /**
   * The facts of the engine of a connection, of which all observers are told. A process has one engine after
   * another while it shuts down; they tell it together.
   */
  facts(connection: string): FactStream {
    const known = this.#streams.get(connection);
    if (known !== undefined) return known;
    const stream = new FactStream({ logger: this.logger });
    this.#streams.set(connection, stream);
    for (const observer of this.#observers) subscribe(stream, observer, connection);
    return stream;
  }

  #all<T extends object>(observer: T | undefined): readonly T[] {
    return observer === undefined ? [] : [this.#guarded(observer)];
  }

  #guarded<T extends object>(observer: T): T {
    return guardedObserver('An observer of Sagaz', observer, this.logger);
  }
}

/** Calls `make` at the first event only, when every module has been made. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
