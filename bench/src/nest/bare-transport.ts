import { Server, type CustomTransportStrategy } from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';

/** A transport of Nest without a server, for handlers that have no inbox. */
export class BareTransport extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('bare');

  listen(callback: () => void): void {
    callback();
  }

  close(): void {
    // There is nothing to close.
  }

  on(): void {
    // There are no events.
  }

  unwrap<T>(): T {
    throw new Error('There is no server behind this transport.');
  }

  /** Calls the handler of a pattern and waits for its end. */
  async deliver(pattern: string, data: unknown): Promise<void> {
    const handler = this.messageHandlers.get(pattern);
    if (handler === undefined) throw new Error(`No handler has the pattern ${pattern}.`);
    const answer: unknown = await handler(data, {});
    if (isObservable(answer)) await lastValueFrom(answer, { defaultValue: undefined });
  }
}
