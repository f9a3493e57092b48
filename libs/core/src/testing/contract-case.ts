/**
 * One case of a contract: a promise that every implementation of a port keeps. Cases know no test
 * runner; they assert with `node:assert/strict` and make their own names, so that one database can
 * serve all of them.
 */
export interface ContractCase<Fixture> {
  /** A sentence about what an implementation does. */
  readonly name: string;
  /** The promise or the hole, in words: what breaks in production where this case fails. */
  readonly guards: string;
  run(fixture: Fixture): Promise<void>;
}

/** What a contract needs of a test runner; vitest and Jest have it, so has `node:test`. */
export interface ContractRunner {
  it(name: string, run: () => Promise<void>): unknown;
  /** Groups the cases under a name where the runner can. */
  describe?(name: string, define: () => void): unknown;
}

/**
 * Declares every case of a contract with a test runner. The fixture is made anew for each case;
 * `dispose`, where there is one, runs after it however it ended.
 */
export function runContract<Fixture extends object>(
  name: string,
  cases: readonly ContractCase<Fixture>[],
  makeFixture: () => Promise<Fixture & { dispose?(): Promise<void> }>,
  runner: ContractRunner,
): void {
  const define = (): void => {
    for (const contractCase of cases) {
      runner.it(contractCase.name, async () => {
        const fixture = await makeFixture();
        try {
          await contractCase.run(fixture);
        } finally {
          await fixture.dispose?.();
        }
      });
    }
  };
  if (runner.describe === undefined) define();
  else runner.describe(name, define);
}

/** The case of that name; throws where there is none. For specs that break an implementation. */
export function contractCase<Fixture>(
  cases: readonly ContractCase<Fixture>[],
  name: string,
): ContractCase<Fixture> {
  const found = cases.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`No case of the contract is named "${name}".`);
  return found;
}

let counter = 0;
/** A name no other case uses. */
export function freshName(prefix = 'case'): string {
  counter += 1;
  return `${prefix}-${process.pid}-${counter}-${Math.random().toString(36).slice(2, 8)}`;
}
