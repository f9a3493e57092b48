/**
 * One case of a contract: a promise that every implementation of a port keeps. Cases do not depend on
 * a test runner; they assert with `node:assert/strict` and use names of their own, so that one
 * database can serve all of them.
 */
export interface ContractCase<Fixture> {
  /** The promise, as a sentence about what an implementation does. */
  readonly name: string;
  /** The fault that production has if the case fails. */
  readonly guards: string;
  run(fixture: Fixture): Promise<void>;
}

/** The functions of a test runner that contracts need. Vitest, Jest and `node:test` have them. */
export interface ContractRunner {
  it(name: string, run: () => Promise<void>): unknown;
  /** Groups the cases under a name, if the runner can. */
  describe?(name: string, define: () => void): unknown;
}

/**
 * Declares every case of a contract with a test runner. The fixture is created for each case;
 * `dispose`, if there is one, is called after the case, even if it failed.
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

/** Returns the case with that name, for specs that break an implementation; throws if there is none. */
export function contractCase<Fixture>(
  cases: readonly ContractCase<Fixture>[],
  name: string,
): ContractCase<Fixture> {
  const found = cases.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`No case of the contract is named "${name}".`);
  return found;
}

let counter = 0;
/** A name that no other case uses. */
export function freshName(prefix = 'case'): string {
  counter += 1;
  return `${prefix}-${process.pid}-${counter}-${Math.random().toString(36).slice(2, 8)}`;
}
