import { setMaxListeners } from 'node:events';
import { Narrator } from './narrator.js';
import { readOptions } from './options.js';
import { allHeld, renderReport } from './report.js';
import { prepareGoods, run } from './run.js';
import { System } from './system.js';

const options = readOptions(process.argv);
const narrator = new Narrator();
const interrupted = new AbortController();
// Every order that waits to be tried again listens.
setMaxListeners(0, interrupted.signal);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted.abort(new Error(`Stopped by ${signal}.`));
  });
}

try {
  process.exitCode = await demonstrate();
} catch (error) {
  const reason: unknown = interrupted.signal.aborted ? interrupted.signal.reason : error;
  process.stderr.write(`${reason instanceof Error ? reason.message : String(reason)}\n`);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}

async function demonstrate(): Promise<number> {
  const goods = await prepareGoods(options);
  narrator.say('starting PostgreSQL, three services and the outbox worker');
  const system = await System.start();
  process.once('exit', () => {
    system.killNow();
  });
  let wentWell = false;
  try {
    await system.ready(interrupted.signal);
    narrator.say(`all are up; sending ${String(goods.lines.length)} orders`);
    interrupted.signal.throwIfAborted();
    const result = await run(system, goods, options, narrator, interrupted.signal);
    wentWell = allHeld(result);
    process.stdout.write(`${renderReport(result)}\n`);
    if (options.keep) await stayUp(system);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (!wentWell) process.stderr.write(`The logs of all processes: ${system.logFolder}\n`);
    return wentWell ? 0 : 1;
  } finally {
    await system.stop(!wentWell && !interrupted.signal.aborted);
  }
}

async function stayUp(system: System): Promise<void> {
  const lines = system.processes.map(({ name, address }) => `  ${name.padEnd(18)} ${address}`);
  process.stdout.write(
    `${lines.join('\n')}\n  OpenAPI            ${system.orders.address}/openapi\n` +
      'Everything stays up until Ctrl-C.\n',
  );
  await new Promise<void>((resolve) => {
    if (interrupted.signal.aborted) resolve();
    interrupted.signal.addEventListener('abort', () => {
      resolve();
    });
  });
}
