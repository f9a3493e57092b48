import type { Reporter, TestModule } from 'vitest/node';

/**
 * Ends the output of a run with the skipped tests and their reasons, and with the totals on a line of
 * their own.
 */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const skipped = new Map<string, number>();
    let passed = 0;
    let failed = unhandledErrors.length;
    let skips = 0;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') passed += 1;
        else if (result.state === 'failed') failedHere += 1;
        else if (result.state === 'skipped') {
          skips += 1;
          const reason = result.note ?? `${module.relativeModuleId} > ${test.fullName}`;
          skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
        }
      }
      // A file that does not load, or whose hooks throw, has failed though none of its tests has.
      failed += failedHere === 0 && module.state() === 'failed' ? 1 : failedHere;
    }
    for (const [reason, count] of skipped) {
      console.log(`skipped: ${reason}${count > 1 ? ` (${String(count)} tests)` : ''}`);
    }
    console.log(`${String(passed)} passed, ${String(failed)} failed, ${String(skips)} skipped`);
  }
}
