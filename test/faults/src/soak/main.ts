import { setTimeout as sleep } from 'node:timers/promises';
import { randomOf } from '@sagaz/core/testing';
import { Ledger } from './books.js';
import { disturb } from './disturbances.js';
import { Gauges } from './gauges.js';
import { readOptions, type SoakOptions } from './options.js';
import { brokenRules, summary, type Result } from './report.js';
import { SoakSystem } from './soak-system.js';
import { Traffic } from './traffic.js';

/** After the last disturbance everything must have ended by then. */
const SETTLE_WITHIN_MS = 240_000;
const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 2_000;

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error(`Stopped by ${signal}.`)));
}

try {
  const options = readOptions(process.argv.slice(2));
  const result = await soak(options, interrupted.signal);
  for (const rule of result.broken) process.stdout.write(`BROKEN: ${rule}\n`);
  process.stdout.write(`${options.json ? JSON.stringify(result) : summary(result)}\n`);
  process.exitCode = result.ok ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = interrupted.signal.aborted ? 130 : 1;
}

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

async function soak(options: SoakOptions, signal: AbortSignal): Promise<Result> {
  const gauges = new Gauges();
  let traffic: Traffic | null = null;
  say(`starting two PostgreSQL servers and eight processes; seed ${String(options.seed)}`);
  const system = await SoakSystem.start((_worker, report) => {
    if (report.kind === 'memory') gauges.heap(report.heap);
    else traffic?.hear(report);
  });
  const killNow = (): void => system.killNow();
  process.once('exit', killNow);
  const ledger = new Ledger(system.store.url, system.broker.url);
  let keepLogs = true;
  try {
    await allReady(system, signal);
    traffic = new Traffic(system, options.sagas, randomOf(options.seed));
    const result = await run(options, system, traffic, ledger, gauges, signal);
    keepLogs = !result.ok;
    if (keepLogs) say(`the logs of all processes: ${system.logFolder}`);
    return result;
  } finally {
    system.killNow();
    await ledger.close();
    await system.stop(keepLogs);
    process.off('exit', killNow);
  }
}

async function allReady(system: SoakSystem, signal: AbortSignal): Promise<void> {
  const end = performance.now() + READY_WITHIN_MS;
  while (!system.workers.every((one) => one.ready)) {
    signal.throwIfAborted();
    if (performance.now() > end) {
      const missing = system.workers.filter((one) => !one.ready).map((one) => one.name);
      throw new Error(`Not ready in time: ${missing.join(', ')}. Logs: ${system.logFolder}`);
    }
    await sleep(100);
  }
}

async function run(
  options: SoakOptions,
  system: SoakSystem,
  traffic: Traffic,
  ledger: Ledger,
  gauges: Gauges,
  signal: AbortSignal,
): Promise<Result> {
  const forMs = options.minutes * 60_000;
  const disturbances: Record<string, number> = {};
  const calm = new AbortController();
  const watch = follow(ledger, gauges, traffic, calm.signal);
  const noise = new AbortController();
  const placed = new AbortController();
  const placing = traffic.run(forMs, AbortSignal.any([placed.signal, signal]));
  const disturbing = disturb(
    system,
    randomOf(options.seed + 1),
    (what) => {
      disturbances[what] = (disturbances[what] ?? 0) + 1;
      say(what);
    },
    noise.signal,
  );
  await sleep(forMs, undefined, { signal }).catch(() => undefined);
  noise.abort();
  await disturbing;
  signal.throwIfAborted();
  say('no more disturbances; waiting until nothing is left to do');
  const calmSince = performance.now();
  for (const worker of system.workers) worker.send({ kind: 'quiet' });
  const patience = setTimeout(() => placed.abort(), SETTLE_WITHIN_MS);
  await placing;
  clearTimeout(patience);
  await untilSettled(ledger, traffic, calmSince + SETTLE_WITHIN_MS, signal);
  const settledAfter = Math.round((performance.now() - calmSince) / 1000);
  calm.abort();
  await watch;
  const stuckShutdowns = await system.stopWorkers();
  const findings = await ledger.audit(traffic.started);
  const { heapMiB, connectionsMost: connections } = gauges;
  const figures = {
    seed: options.seed,
    minutes: options.minutes,
    sagas: traffic.started.size,
    repeatedStarts: traffic.repeated,
    disturbances,
    findings,
    settledAfter,
    longestSaga: await ledger.longestSaga(),
    longestStandstill: Math.round(gauges.longestStandstillMs / 1000),
    heapMiB,
    connections,
    connectionsLeft: await connectionsLeft(ledger),
    stuckShutdowns,
  };
  const broken = brokenRules(figures);
  if (traffic.started.size < options.sagas) {
    broken.push(
      `${String(options.sagas - traffic.started.size)} of ${String(options.sagas)} orders could not be started.`,
    );
  }
  return { ok: broken.length === 0, broken, ...figures };
}

/** The server notices the end of a client a moment later. */
async function connectionsLeft(ledger: Ledger): Promise<number> {
  let left = (await ledger.connections()) ?? 0;
  for (let look = 0; look < 100 && left > 0; look += 1) {
    await sleep(100);
    left = (await ledger.connections()) ?? left;
  }
  return left;
}

async function follow(
  ledger: Ledger,
  gauges: Gauges,
  traffic: Traffic,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const [ended, connections] = [await ledger.ended(), await ledger.connections()];
    if (ended !== null) gauges.progress(ended, traffic.started.size);
    if (connections !== null) gauges.connections(connections);
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Every saga has ended and no message is under way. */
async function untilSettled(
  ledger: Ledger,
  traffic: Traffic,
  until: number,
  signal: AbortSignal,
): Promise<void> {
  while (performance.now() < until) {
    signal.throwIfAborted();
    if ((await ledger.ended()) === traffic.started.size) {
      if ((await ledger.messagesLeft()) === 0) return;
    }
    await sleep(200);
  }
}
