import { Inject, Injectable } from '@nestjs/common';
import {
  Server,
  type CustomTransportStrategy,
  type MessageHandler,
  type Transport,
} from '@nestjs/microservices';
import { HandlerSetupError } from './errors.js';
import { handlerMetadataOf, SAGAZ_TRANSPORT } from './handler-metadata.js';
import { HandlerSet } from './handler-set.js';

/**
 * Nest's view of Sagaz as a transport. It collects the handlers that Nest wraps in its pipeline, and
 * tells when Nest is ready for messages; consuming is the business of the consumers, which begin
 * only when the application has bootstrapped too, and end before anything of it is destroyed. Nest
 * calls `close` later than that.
 */
@Injectable()
export class SagazServer extends Server implements CustomTransportStrategy {
  // Nest 11 declares the type without symbols, and compares by identity all the same.
  override readonly transportId: Transport | symbol = SAGAZ_TRANSPORT;
  #connected = false;
  #neighbours: () => readonly unknown[] = () => [];
  #listening = false;
  readonly #onListen: (() => void)[] = [];

  constructor(@Inject(HandlerSet) private readonly handlers: HandlerSet) {
    super();
  }

  /** Called by Nest for each handler method; refuses a second one for the same group and type. */
  override addHandler(
    _pattern: unknown,
    callback: MessageHandler,
    _isEventHandler?: boolean,
    extras?: Record<string, unknown>,
  ): void {
    // Handlers without a transport are offered to every strategy; they are meant for another.
    const metadata = handlerMetadataOf(extras);
    if (metadata !== undefined) this.handlers.add(metadata, callback);
  }

  /** Whether `connectSagaz(app)` was called, or Nest has this strategy in another way. */
  get connected(): boolean {
    return this.#connected || this.handlers.all.length > 0;
  }

  get listening(): boolean {
    return this.#listening;
  }

  /** The other transports of the application; none are known where it was connected by hand. */
  neighbours(): readonly unknown[] {
    return this.#neighbours();
  }

  /** @throws HandlerSetupError the second time: every handler would be there twice */
  markConnected(neighbours: () => readonly unknown[]): void {
    if (this.#connected) {
      throw new HandlerSetupError(
        ['connectSagaz'],
        'it was called twice for one application.',
        'Call it once, in main.ts before app.startAllMicroservices().',
      );
    }
    this.#connected = true;
    this.#neighbours = neighbours;
  }

  /** Calls back once Nest wants messages; at once when it already does. */
  whenListening(begin: () => void): void {
    if (this.#listening) begin();
    else this.#onListen.push(begin);
  }

  listen(callback: () => void): void {
    this.#listening = true;
    // Called back first: to wait for consumers, which wait for the bootstrap, would hang the start.
    callback();
    for (const begin of this.#onListen.splice(0)) begin();
  }

  close(): void {
    this.#listening = false;
  }

  on(): void {
    // There are no transport events to listen to; the health indicators tell how it is.
  }

  unwrap<T>(): T {
    throw new Error(
      'The transport of Sagaz has no server inside. Inject Sagas, Outbox or DeadLetters.',
    );
  }
}
