import { applyDecorators, SetMetadata, UseInterceptors } from '@nestjs/common';
import { IdempotentInterceptor } from './idempotent.interceptor.js';
import { IDEMPOTENT, type IdempotentOptions } from './idempotent-metadata.js';

/**
 * For a handler on Nest's own Kafka or RabbitMQ transport: a message that is delivered again has no
 * second effect, and the writes of the handler's repositories and the messages that it publishes are
 * committed together, or not at all. It does nothing more: retries with growing pauses, dead letters,
 * order by key and rules for late commands are features of `@IdempotentHandler` only.
 *
 * ```ts
 * @Idempotent({ group: 'billing' })
 * @EventPattern('legacy.topic', Transport.KAFKA)
 * async legacy(event: Legacy) { … }
 * ```
 *
 * - **RabbitMQ**: needs `noAck: false`. The message is acknowledged after the commit; after a failure
 *   it goes back to its queue a second later. For messages that never succeed, use a quorum queue with
 *   a delivery limit.
 * - **Kafka**: a failure is thrown on, so that the client delivers the message again, and with it
 *   holds back its partition. Nest does so for event handlers since version 12.
 */
export function Idempotent(options: IdempotentOptions = {}): MethodDecorator {
  return applyDecorators(SetMetadata(IDEMPOTENT, options), UseInterceptors(IdempotentInterceptor));
}
