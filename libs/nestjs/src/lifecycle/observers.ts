import { Injectable } from '@nestjs/common';
import type { EnlistObserver } from '../enlist/index.js';

/** Hands what happens in enlisted transactions to everyone who counts it. */
@Injectable()
export class WorkObservers implements Required<EnlistObserver> {
  readonly #observers: EnlistObserver[] = [];

  add(observer: EnlistObserver): void {
    this.#observers.push(observer);
  }

  written(connection: string, count: number): void {
    for (const observer of this.#observers) observer.written?.(connection, count);
  }

  lost(connection: string, count: number): void {
    for (const observer of this.#observers) observer.lost?.(connection, count);
  }
}
