import { Inject, Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import {
  SagaRegistry,
  UnknownSagaError,
  isSagaClass,
  type SagaClass,
  type SagaDefinition,
} from '@sagaz/core';
import { Connections, type Connection } from '../enlist/index.js';
import { SagaScopeError } from './errors.js';

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** Finds the sagas among the application's providers, and the connection whose store keeps each. */
@Injectable()
export class SagaSet {
  #found: { readonly registry: SagaRegistry; readonly wrappers: Map<SagaClass, Wrapper> } | null =
    null;

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(Connections) private readonly connections: Connections,
  ) {}

  /**
   * The sagas that the store of a connection keeps.
   *
   * @throws InvalidSagaDefinitionError, DuplicateSagaError, SagaScopeError, UnknownDataSourceError
   */
  of(connection: Connection): readonly SagaDefinition[] {
    return this.#discover()
      .registry.all()
      .filter((definition) => this.connectionOf(definition) === connection);
  }

  /** @throws UnknownSagaError */
  definitionOf(sagaClass: SagaClass): SagaDefinition {
    return this.#discover().registry.of(sagaClass);
  }

  connectionOf({ connection }: SagaDefinition): Connection {
    return connection === undefined ? this.connections.main : this.connections.get(connection);
  }

  /** The instance of the saga class whose methods are the steps. */
  instanceOf({ sagaClass }: SagaDefinition): object {
    const instance: unknown = this.#discover().wrappers.get(sagaClass)?.instance;
    if (typeof instance === 'object' && instance !== null) return instance;
    throw new UnknownSagaError(sagaClass.name);
  }

  // The sagas are searched at the first use, because a hook of the application may start one before any
  // hook of Sagaz runs.
  #discover() {
    if (this.#found !== null) return this.#found;
    const registry = new SagaRegistry();
    const wrappers = new Map<SagaClass, Wrapper>();
    for (const wrapper of this.discovery.getProviders()) {
      const { metatype } = wrapper;
      if (!isClass(metatype) || !isSagaClass(metatype) || wrappers.has(metatype)) continue;
      if (!wrapper.isDependencyTreeStatic() || wrapper.isTransient) {
        throw new SagaScopeError(metatype.name);
      }
      registry.add(metatype);
      wrappers.set(metatype, wrapper);
    }
    this.#found = { registry, wrappers };
    return this.#found;
  }
}

function isClass(value: unknown): value is SagaClass {
  return typeof value === 'function' && typeof value.prototype === 'object';
}
