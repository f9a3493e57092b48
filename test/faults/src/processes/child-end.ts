import type { Logger } from '@sagaz/core';

function line(level: string) {
  return (message: string, fields?: object, cause?: unknown): void => {
    const error = cause instanceof Error ? (cause.stack ?? cause.message) : '';
    const text = JSON.stringify(fields ?? {});
    process.stderr.write(`${new Date().toISOString()} ${level} ${message} ${text} ${error}\n`);
  };
}

/** Warnings and errors of a worker process go to the log that its parent keeps. */
export const workerLogger: Logger = {
  debug() {},
  info() {},
  warn: line('warn'),
  error: line('error'),
};

/** A worker without a parent ends; what it did not catch is in its log. */
export function endWithParent(): void {
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('unhandledRejection', (error) =>
    workerLogger.error('A rejection was not handled.', {}, error),
  );
}

/** Sends to the parent, which may be gone: `disconnect` ends this process then. */
export function tellParent(report: object): void {
  process.send?.(report, undefined, undefined, () => undefined);
}
