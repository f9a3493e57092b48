import { Inject, Injectable } from '@nestjs/common';
import { guardedObserver, type InboxEvent, type InboxObserver, type Logger } from '@sagaz/core';
import { SAGAZ_LOGGER } from '../tokens/index.js';

/** How a delivery over one of Nest's own transports can end. */
export type ForeignOutcome = 'committed' | 'duplicate' | 'failed';

/** A delivery over one of Nest's own transports came to its end. */
export interface ForeignEvent {
  readonly group: string;
  /** The topic, or the pattern, of the message. */
  readonly pattern: string;
  /**
   * The pattern that the method declares, a wildcard for instance. undefined: it declares several, and
   * none of them is that of the message itself.
   */
  readonly declared: string | undefined;
  readonly outcome: ForeignOutcome;
  readonly durationMs: number;
}

/** Receives how the handling of messages ends. */
export interface HandlerObserver extends Pick<InboxObserver, 'ended'> {
  /** Messages of the broker were put into the landing queue of their group. */
  landed?(event: { readonly group: string; readonly count: number }): void;
  /** The handling of a message by an `@Idempotent` method has ended. */
  foreignEnded?(event: ForeignEvent): void;
}

/** Passes events about messages on to all observers. */
@Injectable()
export class HandlerObservers implements Required<HandlerObserver> {
  readonly #observers: HandlerObserver[] = [];

  constructor(@Inject(SAGAZ_LOGGER) private readonly logger: Logger) {}

  /** Adds an observer, which is called from now on. One that throws is logged, and affects nothing else. */
  add(observer: HandlerObserver): void {
    this.#observers.push(guardedObserver('An observer of handlers', observer, this.logger));
  }

  /** Tells every observer how the handling of a message ended. */
  ended(event: InboxEvent): void {
    for (const observer of this.#observers) observer.ended(event);
  }

  landed(event: { readonly group: string; readonly count: number }): void {
    for (const observer of this.#observers) observer.landed?.(event);
  }

  foreignEnded(event: ForeignEvent): void {
    for (const observer of this.#observers) observer.foreignEnded?.(event);
  }
}
