import { SagazError } from '../errors/index.js';
import { buildSagaDefinition } from './build-saga-definition.js';
import type { SagaClass, SagaDefinition } from './saga-definition.js';

/** Two classes have the same saga name and version. */
export class DuplicateSagaError extends SagazError {
  readonly code = 'SAGAZ_DUPLICATE_SAGA';

  constructor(
    readonly saga: string,
    readonly version: number,
    readonly classes: readonly [string, string],
  ) {
    super(
      `Version ${version} of the saga '${saga}' is defined by two classes, ${classes[0]} and ${classes[1]}.`,
      'Give one of them another name, or a version of its own.',
    );
  }
}

/** This process has no saga of that name or class. */
export class UnknownSagaError extends SagazError {
  readonly code = 'SAGAZ_UNKNOWN_SAGA';

  constructor(readonly saga: string) {
    super(
      `The saga ${saga} is not known here.`,
      'Decorate the class with @Saga and make it a provider of this application.',
    );
  }
}

/** The sagas that a process can run, by name and version, and by class. */
export class SagaRegistry {
  readonly #byClass = new Map<SagaClass, SagaDefinition>();
  /** Versions by number. */
  readonly #byName = new Map<string, Map<number, SagaDefinition>>();

  /**
   * Builds and keeps the definition of a class. If the class was added before, its definition is
   * returned.
   *
   * @throws InvalidSagaDefinitionError, DuplicateSagaError
   */
  add(sagaClass: SagaClass): SagaDefinition {
    const known = this.#byClass.get(sagaClass);
    if (known !== undefined) return known;
    const definition = buildSagaDefinition(sagaClass);
    const { name, version } = definition;
    const versions = this.#byName.get(name) ?? new Map<number, SagaDefinition>();
    const other = versions.get(version);
    if (other !== undefined) {
      throw new DuplicateSagaError(name, version, [other.sagaClass.name, sagaClass.name]);
    }
    versions.set(version, definition);
    this.#byName.set(name, versions);
    this.#byClass.set(sagaClass, definition);
    return definition;
  }

  /** @throws UnknownSagaError */
  of(sagaClass: SagaClass): SagaDefinition {
    const definition = this.#byClass.get(sagaClass);
    if (definition === undefined) throw new UnknownSagaError(sagaClass.name);
    return definition;
  }

  get(name: string, version: number): SagaDefinition | undefined {
    return this.#byName.get(name)?.get(version);
  }

  /** The definition with the highest version of a saga. */
  latest(name: string): SagaDefinition | undefined {
    const versions = this.#byName.get(name);
    return versions?.get(Math.max(...versions.keys()));
  }

  all(): readonly SagaDefinition[] {
    return [...this.#byClass.values()];
  }

  /** Names with their versions, as an engine passes them to its store to claim sagas it can run. */
  runnable(): readonly { readonly name: string; readonly versions: readonly number[] }[] {
    return [...this.#byName].map(([name, versions]) => ({
      name,
      versions: [...versions.keys()].sort((a, b) => a - b),
    }));
  }
}
