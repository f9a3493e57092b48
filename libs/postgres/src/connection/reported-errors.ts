import { EventEmitter } from 'node:events';
import { propertyOf } from '@sagaz/core';

/**
 * How many wrappers of an error are opened at most: TypeORM wraps errors in `driverError`, others in
 * `cause`.
 */
const DEPTH = 8;

/**
 * The errors that the server reported on connections of one store. An error of PostgreSQL does not name
 * its server or connection, and a handler may use several. So this class listens to each connection and
 * remembers the errors that it reports.
 */
export class ReportedErrors {
  readonly #errors = new WeakSet<object>();
  readonly #watched = new WeakSet<object>();
  /** Whether a driver takes part that cannot be listened to. Then every error counts as reported. */
  #unheard = false;

  /** @param client an unwrapped client of pg */
  watch(client: unknown): void {
    if (typeof client !== 'object' || client === null || this.#watched.has(client)) return;
    this.#watched.add(client);
    const wire: unknown = Reflect.get(client, 'connection');
    if (!(wire instanceof EventEmitter)) {
      this.#unheard = true;
      return;
    }
    wire.on('errorMessage', (error: unknown) => {
      if (typeof error === 'object' && error !== null) this.#errors.add(error);
    });
  }

  has(error: unknown): boolean {
    if (this.#unheard) return true;
    let current: unknown = error;
    // The loop is bounded, because a chain of causes may be circular.
    for (let depth = 0; depth < DEPTH; depth += 1) {
      if (typeof current !== 'object' || current === null) return false;
      if (this.#errors.has(current) || isOwn(current) || isMade(current)) return true;
      current = propertyOf(current, 'driverError') ?? propertyOf(current, 'cause');
    }
    return false;
  }
}

/** Whether the error was made by a store itself, without an answer of the server. */
function isOwn(error: object): boolean {
  const code = propertyOf(error, 'code');
  return code === 'SAGAZ_DATABASE_UNREACHABLE' || code === 'SAGAZ_LOCK_TIMEOUT';
}

/**
 * Whether the application made the error to signal a conflict: it has the code of a server error, but
 * not the position in the server's source that every server reports.
 */
function isMade(error: object): boolean {
  const wraps = ['driverError', 'cause', 'routine'].some(
    (name) => propertyOf(error, name) !== undefined,
  );
  return typeof propertyOf(error, 'code') === 'string' && !wraps;
}
