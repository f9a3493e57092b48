import { errorText, systemClock, type Logger, type Store } from '@sagaz/core';
import { postgres } from '@sagaz/postgres';

/** A logger that writes warnings and errors only. */
export const quietLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: (message, fields) => {
    process.stderr.write(`${message} ${JSON.stringify(fields ?? {})}\n`);
  },
  error: (message, fields, cause) => {
    process.stderr.write(
      `${message} ${JSON.stringify(fields ?? {})} ${cause === undefined ? '' : errorText(cause)}\n`,
    );
  },
};

export async function openStore(url: string): Promise<Store> {
  const store = await postgres({ url }).create({
    service: 'bench',
    logger: quietLogger,
    clock: systemClock,
  });
  await store.start({ migrate: true });
  return store;
}
