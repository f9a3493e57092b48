import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The built packages, as an installed relay has them; killed without warning at a fault point. */
const SCRIPT = `
import { Relay, systemClock } from '@sagaz/core';
import { postgres, postgresBroker } from '@sagaz/postgres';
const [, url, point] = process.argv;
const nothing = () => undefined;
const logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const environment = { service: 'relay', logger, clock: systemClock };
const store = await postgres({ url }).create(environment);
const broker = await postgresBroker({ url }).create(environment);
const faults = { reach: (reached) => { if (reached === point) process.kill(process.pid, 'SIGKILL'); } };
await new Relay({
  outbox: store.outbox, broker, clock: systemClock, logger, faults,
  replyMail: () => { throw new Error('no sagas here'); },
  settings: { leaseTtlMs: 1000, publishTimeoutMs: 500, batchSize: 7 },
}).start();
setInterval(nothing, 1000);
`;

/** Runs a relay in a process of its own until it kills itself; the signal that ended it. */
export function relayThatDiesAt(
  url: string,
  point: string,
): Promise<NodeJS.Signals | number | null> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', SCRIPT, url, point], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      resolve(signal ?? code);
    });
  });
}
