import { Injectable } from '@nestjs/common';
import type { InboxEvent, InboxObserver } from '@sagaz/core';

/** A delivery over one of Nest's own transports came to its end. */
export interface ForeignEvent {
  readonly group: string;
  readonly pattern: string;
  readonly outcome: 'committed' | 'duplicate' | 'failed';
  readonly durationMs: number;
}

/** Is told what becomes of messages. */
export interface HandlerObserver extends InboxObserver {
  /** Of an `@Idempotent` method. */
  foreignEnded?(event: ForeignEvent): void;
}

/** Hands what becomes of messages to everyone who counts it. */
@Injectable()
export class HandlerObservers implements Required<HandlerObserver> {
  readonly #observers: HandlerObserver[] = [];

  /** Tells this observer too, from now on. */
  add(observer: HandlerObserver): void {
    this.#observers.push(observer);
  }

  /** Tells every observer how the handling of a message ended. */
  ended(event: InboxEvent): void {
    for (const observer of this.#observers) observer.ended(event);
  }

  foreignEnded(event: ForeignEvent): void {
    for (const observer of this.#observers) observer.foreignEnded?.(event);
  }
}
