import { Injectable } from '@nestjs/common';
import type { InboxEvent, InboxObserver } from '@sagaz/core';

/** Hands what becomes of messages to everyone who counts it. */
@Injectable()
export class HandlerObservers implements InboxObserver {
  readonly #observers: InboxObserver[] = [];

  add(observer: InboxObserver): void {
    this.#observers.push(observer);
  }

  ended(event: InboxEvent): void {
    for (const observer of this.#observers) observer.ended(event);
  }
}
