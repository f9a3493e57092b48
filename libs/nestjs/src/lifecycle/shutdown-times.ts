/**
 * How long background work may take to end, of the whole time for a shutdown. The rest is for the HTTP
 * server's open requests and for closing stores and brokers.
 */
export function drainTimeOf(shutdownTimeout: number): number {
  return Math.ceil(shutdownTimeout * 0.8);
}

/** When HTTP connections that are still open are closed, counted from the beginning of the shutdown. */
export function httpTimeOf(shutdownTimeout: number): number {
  return Math.ceil(shutdownTimeout * 0.9);
}

/** Waits until all have settled, and no longer than this; tells whether they have. */
export async function endedWithin(ms: number, work: readonly Promise<unknown>[]): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const all = Promise.allSettled(work).then((): true => true);
  const ended = await Promise.race([all, late]);
  clearTimeout(timer);
  return ended;
}
