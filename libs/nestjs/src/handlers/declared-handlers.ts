import { MetadataScanner, type DiscoveryService } from '@nestjs/core';
import { HandlerSetupError } from './errors.js';
import { HANDLER_METADATA, type HandlerMetadata } from './handler-metadata.js';
import { InboxInterceptor } from './inbox.interceptor.js';

/**
 * The metadata key under which Nest stores `@UseInterceptors`. Nest exports no constant for it in both
 * major versions.
 */
const INTERCEPTORS = '__interceptors__';

/**
 * Names all methods with `@IdempotentHandler` in the application's controllers, also those that no
 * transport has offered.
 *
 * @throws HandlerSetupError for an interceptor that would work inside the message's transaction, and for
 * a provider with such methods, which no message would ever reach
 */
export function declaredHandlers(discovery: DiscoveryService): readonly string[] {
  const controllers = new Set(discovery.getControllers().map(({ metatype }) => metatype));
  const lost = discovery
    .getProviders()
    .filter(({ metatype }) => !controllers.has(metatype))
    .flatMap(({ metatype }) => handlersOf(metatype));
  if (lost.length > 0) {
    throw new HandlerSetupError(
      lost,
      'only methods of controllers handle messages, and this class is a provider.',
      'Decorate it with @Controller() and name it in controllers of its module.',
    );
  }
  return [...controllers].flatMap(handlersOf);
}

function handlersOf(metatype: unknown): readonly string[] {
  const scanner = new MetadataScanner();
  const prototype: unknown = typeof metatype === 'function' ? metatype.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) return [];
  return scanner.getAllMethodNames(prototype).flatMap((name) => {
    const method: unknown = Reflect.get(prototype, name);
    if (typeof method !== 'function') return [];
    const metadata = Reflect.getMetadata(HANDLER_METADATA, method) as HandlerMetadata | undefined;
    if (metadata === undefined) return [];
    assertInnermost(metadata.method, method, InboxInterceptor, '@IdempotentHandler');
    return [metadata.method];
  });
}

/**
 * Refuses interceptors that would run inside the transaction of a message. If such an interceptor
 * answered by itself, from a cache for instance, the message would count as done although its handler
 * had not run.
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
