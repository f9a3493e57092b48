import { errorText } from '../errors/index.js';
import type { Clock, Delivery, Logger, Timer } from '../ports/index.js';

export interface ExtensionOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called for each extension that failed, for metrics. */
  readonly onFailure?: (delivery: Delivery, error: unknown) => void;
}

/**
 * Runs `work` and extends the delivery regularly until it ends, so that the broker gives the message to nobody
 * else meanwhile. Where the delivery needs no extension it only runs `work`.
 *
 * An extension that fails is logged and told, and tried again; it stops no work, because the broker may take
 * the next one, and because it is `signal` of the delivery that says when the message is lost. At most one is
 * under way at a time. Settles as `work` does.
 */
export async function whileExtended<T>(
  delivery: Delivery,
  work: () => Promise<T>,
  { clock, logger, onFailure }: ExtensionOptions,
): Promise<T> {
  const { extension, signal, message, group } = delivery;
  if (extension === undefined) return work();
  let ended = false;
  const next: { timer?: Timer } = {};
  const schedule = (): void => {
    if (ended || signal.aborted) return;
    next.timer = clock.after(extension.everyMs, () => {
      if (!signal.aborted) void extend();
    });
  };
  const extend = async (): Promise<void> => {
    try {
      await extension.extend();
    } catch (error) {
      failed(error);
    }
    schedule();
  };
  const failed = (error: unknown): void => {
    // Once the work has ended, the broker may say that there is nothing to extend.
    if (ended) return;
    logger.warn(
      'A delivery could not be extended; if that goes on, the broker delivers its message once more.',
      { messageId: message.id, type: message.type, group, error: errorText(error) },
    );
    onFailure?.(delivery, error);
  };
  schedule();
  try {
    return await work();
  } finally {
    ended = true;
    next.timer?.cancel();
  }
}
