import {
  KafkaContext,
  Server,
  Transport,
  type CustomTransportStrategy,
} from '@nestjs/microservices';
import { isObservable, lastValueFrom } from 'rxjs';

/** Calls handlers as Nest's transport does, and tells what they threw. */
export class KafkaStub extends Server implements CustomTransportStrategy {
  override readonly transportId = Transport.KAFKA;
  listen(callback: () => void): void {
    callback();
  }
  close(): void {
    // Nothing is open.
  }
  on(): void {
    // Nothing happens.
  }
  unwrap<T>(): T {
    throw new Error('There is no client.');
  }
  async deliver(topic: string, value: object, headers: Record<string, Buffer>): Promise<void> {
    const message = {
      key: null,
      value: null,
      timestamp: '0',
      attributes: 0,
      offset: '0',
      size: 0,
      headers,
    };
    const parts = [message, 0, topic, null, async () => undefined, null];
    const context: KafkaContext = Reflect.construct(KafkaContext, [parts]);
    const answer: unknown = await this.getHandlerByPattern(topic)?.(value, context);
    if (isObservable(answer)) await lastValueFrom(answer, { defaultValue: undefined });
  }
}
