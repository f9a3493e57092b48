import { asError, errorText } from '@sagaz/core';
import { endWithParent, tellParent, workerLogger } from '../processes/index.js';
import { SoakWorker } from './soak-worker.js';
import type { Report, Request, WorkerPlan } from './worker-plan.js';

const MEMORY_EVERY_MS = 5_000;
/** Before a start that failed because a server was away is tried again. */
const START_PAUSE_MS = 500;

const tell = (report: Report): void => tellParent(report);

async function main(plan: WorkerPlan): Promise<void> {
  endWithParent();
  process.on('unhandledRejection', (reason) =>
    tell({ kind: 'unhandled', what: asError(reason).stack ?? errorText(reason) }),
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
    const { heapUsed: heap, rss } = process.memoryUsage();
    tell({ kind: 'memory', heap, rss });
    await new Promise((resolve) => setTimeout(resolve, MEMORY_EVERY_MS));
  }
}

/** A worker that is started while a server is away waits for it. */
async function opened(plan: WorkerPlan): Promise<SoakWorker> {
  for (;;) {
    const worker = await SoakWorker.open(plan, workerLogger).catch((error: unknown) => {
      workerLogger.warn('The worker could not start yet.', { error: String(error) });
      return null;
    });
    if (worker !== null) return worker;
    await new Promise((resolve) => setTimeout(resolve, START_PAUSE_MS));
  }
}

await main(JSON.parse(process.argv[2] ?? '') as WorkerPlan);
