import type { DefinitionRef, FormattedDefinition, RunnableSaga } from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';

interface DefinitionRow extends FormattedDefinition {
  readonly number: number;
}

/**
 * The numbers by which rows name the definitions of their sagas, each with a format: so that whatever reads
 * sagas by the definitions that an engine runs passes those which it cannot read, at no cost. A number never changes and is never
 * removed, so that what this process knows stays true; what it does not know, another process may have
 * added since, and the table is read again.
 */
export class Definitions {
  readonly #pool: Queryable;
  readonly #schema: SchemaName;
  readonly #numbers = new Map<string, number>();
  readonly #names = new Map<number, FormattedDefinition>();
  readonly #wanted: FormattedDefinition[] = [];
  #learning: Promise<void> | null = null;

  /** @param pool for additions, which must not wait for a caller's transaction to end */
  constructor(pool: Queryable, schema: SchemaName) {
    this.#pool = pool;
    this.#schema = schema;
  }

  /** The numbers of these definitions; one that has none is added. */
  async numbersOf(
    wanted: readonly FormattedDefinition[],
    on: Queryable = this.#pool,
  ): Promise<readonly number[]> {
    // In a transaction of the caller, whose connection costs no further one.
    if (on !== this.#pool && !this.#know(wanted)) await this.#read(on);
    if (!this.#know(wanted)) await this.#learn(wanted);
    return wanted.map((one) => {
      const number = this.#numbers.get(keyOf(one));
      if (number === undefined) throw new Error(`Saga ${keyOf(one)} has no number.`);
      return number;
    });
  }

  /**
   * The numbers of these definitions, in the lowest format, whose mail all engines that run them read; 0 for
   * one that has none.
   */
  async known(
    wanted: readonly DefinitionRef[],
    on: Queryable,
  ): Promise<(definition: DefinitionRef | undefined) => number> {
    if (!this.#know(wanted.map(lowest))) await this.#read(on);
    return (definition) =>
      definition === undefined ? 0 : (this.#numbers.get(keyOf(lowest(definition))) ?? 0);
  }

  /** Names the definitions of rows. */
  async named(
    rows: readonly { readonly definition: number }[],
    on: Queryable = this.#pool,
  ): Promise<(row: { readonly definition: number }) => FormattedDefinition> {
    if (rows.some(({ definition }) => !this.#names.has(definition))) await this.#read(on);
    return ({ definition }) => {
      const name = this.#names.get(definition);
      if (name !== undefined) return name;
      throw new Error(
        `${this.#schema.quoted}.definition has no row with the number ${String(definition)}, by which a saga names its definition.`,
      );
    };
  }

  /**
   * Finds the numbers of definitions, and adds those that have none. Callers that come while this is under
   * way share the next statements, since a process that starts many sagas at once has few connections.
   */
  async #learn(wanted: readonly FormattedDefinition[]): Promise<void> {
    this.#wanted.push(...wanted);
    await this.#learning?.catch(() => undefined);
    while (!this.#know(wanted)) {
      this.#learning ??= this.#learnWanted();
      await this.#learning;
    }
  }

  async #learnWanted(): Promise<void> {
    const wanted = this.#wanted.splice(0);
    try {
      await this.#read(this.#pool);
      const missing = wanted.filter((one) => !this.#know([one]));
      if (missing.length === 0) return;
      // In a transaction of its own: in the caller's, others that start the same definition for the first
      // time would wait for its end.
      await this.#pool.query({
        text: `INSERT INTO ${this.#schema.quoted}.definition (name, version, format)
          SELECT DISTINCT * FROM unnest($1::text[], $2::int[], $3::smallint[]) AS d (name, version, format)
          ORDER BY 1, 2, 3
          ON CONFLICT DO NOTHING`,
        values: [
          missing.map(({ name }) => name),
          missing.map(({ version }) => version),
          missing.map(({ format }) => format),
        ],
      });
      await this.#read(this.#pool);
    } finally {
      this.#learning = null;
    }
  }

  #know(wanted: readonly FormattedDefinition[]): boolean {
    return wanted.every((one) => this.#numbers.has(keyOf(one)));
  }

  async #read(on: Queryable): Promise<void> {
    const { rows } = await on.query<DefinitionRow>({
      text: `SELECT number, name, version, format FROM ${this.#schema.quoted}.definition`,
    });
    for (const { number, ...definition } of rows) {
      this.#numbers.set(keyOf(definition), number);
      this.#names.set(number, definition);
    }
  }
}

/** Each version of the sagas, in each format up to the given one. */
export function definitionsOf(
  definitions: readonly RunnableSaga[],
  format: number,
): readonly FormattedDefinition[] {
  const formats = Array.from({ length: format }, (_, at) => at + 1);
  return definitions.flatMap(({ name, versions }) =>
    versions.flatMap((version) => formats.map((one) => ({ name, version, format: one }))),
  );
}

function lowest({ name, version }: DefinitionRef): FormattedDefinition {
  return { name, version, format: 1 };
}

function keyOf({ name, version, format }: FormattedDefinition): string {
  return `${name}, version ${String(version)}, format ${String(format)}`;
}
