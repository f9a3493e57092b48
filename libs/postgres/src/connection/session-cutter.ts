import { EventEmitter } from 'node:events';
import { abandon } from './bounded-client.js';
import type { SagazPool } from './sagaz-pool.js';

/** How long the server may take to terminate a session before its connection is only closed, in ms. */
const TERMINATE_WITHIN_MS = 2_000;

/**
 * Ends sessions whose transactions do not end: at the server, which may otherwise keep their locks for
 * hours, and here, so that the pool of the connection has its place again.
 */
export class SessionCutter {
  readonly #pool: SagazPool;
  readonly #cut = new WeakMap<object, Promise<void>>();

  constructor(pool: SagazPool) {
    this.#pool = pool;
  }

  /**
   * Asks the server first to terminate the session, while its process number is certain, because
   * closing a connection does not end a statement that waits for a lock. Then closes the connection,
   * also if the server does not answer or refuses. Resolves when it is closed, after two seconds at
   * most. Never rejects.
   */
  cut(client: object): Promise<void> {
    let cut = this.#cut.get(client);
    if (cut === undefined) {
      cut = this.#end(client);
      this.#cut.set(client, cut);
    }
    return cut;
  }

  /**
   * Undefined unless the connection is being cut; resolves when it is closed. Code that ends a
   * transaction has to wait for this. Otherwise the connection would return to its pool when ROLLBACK
   * or COMMIT is answered, and be closed under its next user.
   */
  cutting(client: unknown): Promise<void> | undefined {
    return typeof client === 'object' && client !== null ? this.#cut.get(client) : undefined;
  }

  /**
   * Asks the server to end the session of a connection that is closed here already, because it has not
   * answered for `waitedMs`. The server may not notice that for hours, and the transaction would hold
   * the locks that the next attempt needs. Resolves within two seconds. Never rejects.
   *
   * @param mayCommit whether the session may be working on a COMMIT; then it is ended only if it is idle,
   * or waits for a lock in a statement that was sent before COMMIT
   */
  async end(client: unknown, waitedMs: number, mayCommit: boolean): Promise<void> {
    const pid = pidOf(client);
    if (pid === null) return;
    const ended = this.#pool.query({
      // A younger session is another one that has got the same number meanwhile.
      text: `SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity
        WHERE pid = $1 AND datname = current_database()
          AND backend_start < clock_timestamp() - $3 * interval '1 millisecond'
          AND (state LIKE 'idle in transaction%' OR NOT $4
            OR (wait_event_type = 'Lock' AND query <> 'COMMIT'))`,
      values: [pid, TERMINATE_WITHIN_MS, waitedMs / 2, mayCommit],
      limitMs: TERMINATE_WITHIN_MS,
    });
    await settledWithin(TERMINATE_WITHIN_MS, ended);
  }

  async #end(client: object): Promise<void> {
    listen(client);
    const pid = pidOf(client);
    if (pid !== null) {
      const ended = this.#pool.query({ text: 'SELECT pg_terminate_backend($1)', values: [pid] });
      await settledWithin(TERMINATE_WITHIN_MS, ended);
    }
    abandon(client);
  }
}

/** Waits until the promise has settled, or the time is over. */
export async function settledWithin(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([promise.catch(() => undefined), late]);
  clearTimeout(timer);
}

/**
 * Keeps the `error` event of a client from ending the process. A client of the application's pool may
 * have no listener between its transaction and its return to the pool.
 */
export function listen(client: unknown): void {
  if (client instanceof EventEmitter) client.on('error', () => undefined);
}

function pidOf(client: unknown): number | null {
  if (typeof client !== 'object' || client === null) return null;
  const pid: unknown = Reflect.get(client, 'processID');
  return typeof pid === 'number' ? pid : null;
}
