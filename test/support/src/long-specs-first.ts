import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Specs that mostly wait for leases of killed processes to expire, and so take minutes although
 * their files are small. Vitest begins with the largest files. Begun last, such a spec runs on
 * alone after all others have ended.
 */
const LONG_SPECS = ['/test/faults/fault-matrix.int.spec.ts'];

const isLong = ({ moduleId }: TestSpecification): boolean =>
  LONG_SPECS.some((path) => moduleId.endsWith(path));

/** Begins with the long specs, so that all others run beside them. */
export class LongSpecsFirst extends BaseSequencer {
  override async sort(specs: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(specs);
    return [...sorted.filter((spec) => isLong(spec)), ...sorted.filter((spec) => !isLong(spec))];
  }
}
