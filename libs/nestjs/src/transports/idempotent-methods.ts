import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
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
import { Workers } from '../lifecycle/index.js';
import type { EffectiveOptions } from '../options/index.js';
import { SAGAZ_OPTIONS } from '../tokens/index.js';
import { declaredPatterns } from './declared-patterns.js';
import { IdempotentSetupError } from './errors.js';
import { IdempotentInterceptor } from './idempotent.interceptor.js';
import { IDEMPOTENT, type IdempotentOptions } from './idempotent-metadata.js';
import { IdempotentRefusals } from './idempotent-refusals.js';

interface IdempotentMethod {
  readonly name: string;
  readonly method: object;
}

/**
 * Finds the methods with `@Idempotent()`. Refuses the start of an application in which they could not work,
 * as far as that can be detected, and has readiness show when the store refuses their transactions.
 */
@Injectable()
export class IdempotentMethods implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(SagazServer) private readonly server: SagazServer,
    @Inject(Workers) private readonly workers: Workers,
    @Inject(IdempotentRefusals) private readonly refusals: IdempotentRefusals,
    @Inject(SAGAZ_OPTIONS) private readonly options: EffectiveOptions,
  ) {}

  /** The group of each method, and the patterns that it declares. */
  declared(): readonly { readonly group: string; readonly patterns: readonly string[] }[] {
    return this.#methods().map(({ method }) => {
      const { group } = optionsOf(method);
      return { group: group ?? this.options.service, patterns: declaredPatterns(method) };
    });
  }

  onModuleInit(): void {
    if (this.#methods().length > 0) this.workers.add(this.refusals);
  }

  onApplicationBootstrap(): void {
    const methods = this.#methods();
    const [first] = methods;
    if (first === undefined) return;
    for (const found of methods) assertUsable(found);
    for (const transport of this.server.neighbours()) {
      if (transport instanceof ServerRMQ && Reflect.get(transport, 'noAck') !== false) {
        throw new IdempotentSetupError(
          first.name,
          'the RabbitMQ transport acknowledges messages before they are handled, so a crash would lose them.',
          'Give its options noAck: false.',
        );
      }
    }
  }

  #methods(): readonly IdempotentMethod[] {
    const scanner = new MetadataScanner();
    return this.discovery.getControllers().flatMap(({ metatype }) => {
      const prototype: unknown = metatype?.prototype;
      if (typeof prototype !== 'object' || prototype === null) return [];
      return scanner.getAllMethodNames(prototype).flatMap((key) => {
        const method: unknown = Reflect.get(prototype, key);
        if (typeof method !== 'function' || !Reflect.hasMetadata(IDEMPOTENT, method)) return [];
        return [{ name: `${metatype?.name ?? '?'}.${key}`, method }];
      });
    });
  }
}

function assertUsable({ name, method }: IdempotentMethod): void {
  if (Reflect.hasMetadata(HANDLER_METADATA, method)) {
    throw new IdempotentSetupError(
      name,
      'it is an @IdempotentHandler too, which has all that @Idempotent() gives.',
      'Remove @Idempotent(), or handle the other transport in another method.',
    );
  }
  assertInnermost(name, method, IdempotentInterceptor, '@Idempotent');
  const { timeout } = optionsOf(method);
  if (timeout !== undefined && !isTimeLimit(timeout)) {
    throw new IdempotentSetupError(
      name,
      `its timeout is ${valueText(timeout)}.`,
      TIME_LIMIT_REMEDY,
    );
  }
}

function optionsOf(method: object): IdempotentOptions {
  return Reflect.getMetadata(IDEMPOTENT, method) as IdempotentOptions;
}
