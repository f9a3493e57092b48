import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * The ports that are tried. They are below those that Linux, macOS and Windows give to outgoing
 * connections and to servers that ask for any port, so that none of these takes the port meanwhile.
 */
const FIRST = 20_000;
const LAST = 29_999;
const TRIES = 100;

/** A port that was free when it was looked for, and that only a process that asks for it by number takes. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = randomInt(FIRST, LAST + 1);
    if (await isFree(port)) return port;
  }
  throw new Error(`Of ${TRIES} ports between ${FIRST} and ${LAST} none is free.`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
