import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { ServerRMQ } from '@nestjs/microservices';
import { valueText } from '@sagaz/core';
import {
  assertInnermost,
  HANDLER_METADATA,
  isTimeLimit,
  SagazServer,
  TIME_LIMIT_REMEDY,
} from '../handlers/index.js';
import { IdempotentSetupError } from './errors.js';
import { IdempotentInterceptor } from './idempotent.interceptor.js';
import { IDEMPOTENT, type IdempotentOptions } from './idempotent-metadata.js';

/**
 * Refuses the start of an application in which `@Idempotent()` could not work, as far as that can be
 * detected.
 */
@Injectable()
export class IdempotentMethods implements OnApplicationBootstrap {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(SagazServer) private readonly server: SagazServer,
  ) {}

  onApplicationBootstrap(): void {
    const methods = this.#methods();
    const [first] = methods;
    if (first === undefined) return;
    for (const transport of this.server.neighbours()) {
      if (transport instanceof ServerRMQ && Reflect.get(transport, 'noAck') !== false) {
        throw new IdempotentSetupError(
          first,
          'the RabbitMQ transport acknowledges messages before they are handled, so a crash would lose them.',
          'Give its options noAck: false.',
        );
      }
    }
  }

  #methods(): readonly string[] {
    const scanner = new MetadataScanner();
    return this.discovery.getControllers().flatMap(({ metatype }) => {
      const prototype: unknown = metatype?.prototype;
      if (typeof prototype !== 'object' || prototype === null) return [];
      return scanner.getAllMethodNames(prototype).flatMap((key) => {
        const method: unknown = Reflect.get(prototype, key);
        if (typeof method !== 'function' || !Reflect.hasMetadata(IDEMPOTENT, method)) return [];
        const name = `${metatype?.name ?? '?'}.${key}`;
        if (Reflect.hasMetadata(HANDLER_METADATA, method)) {
          throw new IdempotentSetupError(
            name,
            'it is an @IdempotentHandler too, which has all that @Idempotent() gives.',
            'Remove @Idempotent(), or handle the other transport in another method.',
          );
        }
        assertInnermost(name, method, IdempotentInterceptor, '@Idempotent');
        const { timeout } = Reflect.getMetadata(IDEMPOTENT, method) as IdempotentOptions;
        if (timeout !== undefined && !isTimeLimit(timeout)) {
          throw new IdempotentSetupError(
            name,
            `its timeout is ${valueText(timeout)}.`,
            TIME_LIMIT_REMEDY,
          );
        }
        return [name];
      });
    });
  }
}
