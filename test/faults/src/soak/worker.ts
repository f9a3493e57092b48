import type { Logger } from '@sagaz/core';
import { SoakWorker } from './soak-worker.js';
import type { Report, Request, WorkerPlan } from './worker-plan.js';

const MEMORY_EVERY_MS = 5_000;
/** Before a start that failed because a server was away is tried again. */
const START_PAUSE_MS = 500;

function line(level: string) {
  return (message: string, fields?: object, cause?: unknown): void => {
    const error = cause instanceof Error ? (cause.stack ?? cause.message) : '';
    const text = JSON.stringify(fields ?? {});
    process.stderr.write(`${new Date().toISOString()} ${level} ${message} ${text} ${error}\n`);
  };
}
const logger: Logger = { debug() {}, info() {}, warn: line('warn'), error: line('error') };

function tell(report: Report): void {
  // The parent may be gone; `disconnect` ends this process then.
  process.send?.(report, undefined, undefined, () => undefined);
}

async function main(plan: WorkerPlan): Promise<void> {
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('unhandledRejection', (error) =>
    logger.error('A rejection was not handled.', {}, error),
  );
  const worker = await opened(plan);
  const closing = new AbortController();
  process.once('SIGTERM', () => {
    closing.abort();
    void worker.close().then(() => process.exit(0));
  });
  process.on('message', (request: Request) => {
    if (request.kind === 'quiet') {
      worker.quiet();
      return;
    }
    const { orderId } = request;
    worker.start(orderId).then(
      () => tell({ kind: 'started', orderId }),
      (error: unknown) => tell({ kind: 'refused', orderId, why: String(error) }),
    );
  });
  tell({ kind: 'ready' });
  while (!closing.signal.aborted) {
    globalThis.gc?.();
    tell({ kind: 'memory', heap: process.memoryUsage().heapUsed });
    await new Promise((resolve) => setTimeout(resolve, MEMORY_EVERY_MS));
  }
}

/** A worker that is started while a server is away waits for it. */
async function opened(plan: WorkerPlan): Promise<SoakWorker> {
  for (;;) {
    const worker = await SoakWorker.open(plan, logger).catch((error: unknown) => {
      logger.warn('The worker could not start yet.', { error: String(error) });
      return null;
    });
    if (worker !== null) return worker;
    await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS));
  }
}

await main(JSON.parse(process.argv[2] ?? '') as WorkerPlan);
