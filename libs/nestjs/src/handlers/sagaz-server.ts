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
 * The transport strategy by which Nest knows Sagaz. It collects the handlers that Nest wraps in its
 * pipeline, and reports when Nest is ready for messages. The consumers do the consuming: they begin
 * only when the application has bootstrapped as well, and end before any part of it is destroyed, which
 * is earlier than Nest calls `close`.
 */
@Injectable()
export class SagazServer extends Server implements CustomTransportStrategy {
  // Nest 11 declares the type without symbols, but compares by identity.
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
    // Nest offers handlers without a transport to every strategy; those are meant for another one.
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

  /** The other transports of the application; empty if the strategy was connected by hand. */
  neighbours(): readonly unknown[] {
    return this.#neighbours();
  }

  /** @throws HandlerSetupError the second time, since every handler would be registered twice */
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

  /** Calls `begin` once Nest is ready for messages; at once if it is already. */
  whenListening(begin: () => void): void {
    if (this.#listening) begin();
    else this.#onListen.push(begin);
  }

  listen(callback: () => void): void {
    this.#listening = true;
    // Nest is called back first: waiting for the consumers, which wait for the bootstrap, would block
    // the start.
    callback();
    for (const begin of this.#onListen.splice(0)) begin();
  }

  close(): void {
    this.#listening = false;
  }

  on(): void {
    // The strategy has no events; the health indicators show its state.
  }

  unwrap<T>(): T {
    throw new Error(
      'The transport of Sagaz wraps no server that could be unwrapped. Inject Sagas, Outbox or DeadLetters instead.',
    );
  }
}
