import { errorMessage, errorText } from '@sagaz/core';
import { readOptions } from './options.js';
import { details, NOTHING_MEASURED, resultOf, summary, type Result } from './report.js';
import { Soak } from './soak.js';

/** As the shell says it of a process that a signal ended. */
const EXIT_INTERRUPTED = 130;

const interrupted = new AbortController();
let soak: Soak | null = null;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) {
      // A second signal means that the user does not want to wait. The servers end with this process.
      end(brokenOff(`Interrupted twice, the second time by ${signal}.`, true));
      return;
    }
    process.stdout.write(`Stopping the processes and the servers after ${signal}.\n`);
    interrupted.abort(new Error(`it was interrupted by ${signal}.`));
  });
}
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    process.stderr.write(`${errorText(error)}\n`);
    end(brokenOff(`The soak itself failed: ${errorMessage(error)}`, false));
  });
}
process.once('exit', () => soak?.killNow());

try {
  soak = new Soak(readOptions(process.argv.slice(2)), (line) => process.stdout.write(`${line}\n`));
  end(await soak.run(interrupted.signal));
} catch (error) {
  end(brokenOff(errorMessage(error), false));
}

function brokenOff(why: string, wasInterrupted: boolean): Result {
  return resultOf(NOTHING_MEASURED, { interrupted: wasInterrupted, why }, {}, null);
}

/** The last line of stdout is the result, however the run ended. */
function end(result: Result): void {
  for (const line of details(result)) process.stdout.write(`${line}\n`);
  const line = process.argv.includes('--json') ? JSON.stringify(result) : summary(result);
  process.stdout.write(`${line}\n`, () => process.exit(exitCode(result)));
}

function exitCode({ outcome }: Result): number {
  switch (outcome) {
    case 'passed':
      return 0;
    case 'failed':
      return 1;
    case 'interrupted':
      return EXIT_INTERRUPTED;
  }
}
