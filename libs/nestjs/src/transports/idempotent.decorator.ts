import { applyDecorators, SetMetadata, UseInterceptors } from '@nestjs/common';
import { IdempotentInterceptor } from './idempotent.interceptor.js';
import { IDEMPOTENT, type IdempotentOptions } from './idempotent-metadata.js';

/**
 * For a handler on Nest's own Kafka or RabbitMQ transport: a message that is delivered again has no
 * second effect, and what the handler's repositories write and what it publishes is committed
 * together, or not at all. Nothing more: no retries with a pause that grows, no dead letters, no
 * holding back of a key, no rule for commands that come late; those are `@IdempotentHandler`'s.
 *
 * ```ts
 * @Idempotent({ group: 'billing' })
 * @EventPattern('legacy.topic', Transport.KAFKA)
 * async legacy(event: Legacy) { … }
 * ```
 *
 * - **RabbitMQ**: needs `noAck: false`. The message is acknowledged after the commit; after a failure
 *   it goes back to its queue a second later. A quorum queue with a delivery limit ends what never
 *   succeeds.
 * - **Kafka**: a failure is thrown on, so that the client delivers the message again, and with it
 *   holds back its partition. Nest does so for event handlers since version 12.
 */
export function Idempotent(options: IdempotentOptions = {}): MethodDecorator {
  return applyDecorators(SetMetadata(IDEMPOTENT, options), UseInterceptors(IdempotentInterceptor));
}
