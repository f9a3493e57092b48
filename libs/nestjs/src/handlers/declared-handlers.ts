import { MetadataScanner, type DiscoveryService } from '@nestjs/core';
import { HandlerSetupError } from './errors.js';
import { HANDLER_METADATA, type HandlerMetadata } from './handler-metadata.js';
import { InboxInterceptor } from './inbox.interceptor.js';

/** Where Nest keeps what `@UseInterceptors` said; it exports no name for it that both majors have. */
const INTERCEPTORS = '__interceptors__';

/**
 * Names of all methods with `@IdempotentHandler` in the controllers there are, also those that no
 * transport has offered.
 *
 * @throws HandlerSetupError for an interceptor that would work inside the message's transaction
 */
export function declaredHandlers(discovery: DiscoveryService): readonly string[] {
  const scanner = new MetadataScanner();
  return discovery.getControllers().flatMap(({ metatype }) => {
    const prototype: unknown = metatype?.prototype;
    if (typeof prototype !== 'object' || prototype === null) return [];
    return scanner.getAllMethodNames(prototype).flatMap((name) => {
      const method: unknown = Reflect.get(prototype, name);
      if (typeof method !== 'function') return [];
      const metadata = Reflect.getMetadata(HANDLER_METADATA, method) as HandlerMetadata | undefined;
      if (metadata === undefined) return [];
      assertInnermost(metadata.method, method, InboxInterceptor, '@IdempotentHandler');
      return [metadata.method];
    });
  });
}

/**
 * Inside the transaction an interceptor that answers by itself, from a cache for instance, would be
 * taken for the handler: its message would be done, and nothing would have happened.
 */
export function assertInnermost(
  name: string,
  method: object,
  innermost: unknown,
  decorator: string,
): void {
  const interceptors: unknown = Reflect.getMetadata(INTERCEPTORS, method);
  if (!Array.isArray(interceptors) || interceptors.at(-1) === innermost) return;
  throw new HandlerSetupError(
    [name],
    `@UseInterceptors stands above ${decorator}, so its interceptors would work inside the transaction of the message.`,
    `Put @UseInterceptors below ${decorator}.`,
  );
}
