import { EventEmitter } from 'node:events';
import { propertyOf } from '@sagaz/core';

/** An error is wrapped so often at most: by TypeORM in `driverError`, by others in `cause`. */
const DEPTH = 8;

/**
 * The errors that the server reported on connections of one store. An error of PostgreSQL does not say
 * which server or connection it is from, and a handler may use several: so each connection is listened
 * to, and what it hands on is remembered.
 */
export class ReportedErrors {
  readonly #errors = new WeakSet<object>();
  readonly #watched = new WeakSet<object>();
  /** A driver that cannot be listened to takes part: then nobody knows, and nothing is ruled out. */
  #unheard = false;

  /** @param client of pg, as it is */
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
    // Bounded, because a chain of causes may be a circle.
    for (let depth = 0; depth < DEPTH; depth += 1) {
      if (typeof current !== 'object' || current === null) return false;
      if (this.#errors.has(current) || isOwn(current) || isMade(current)) return true;
      current = propertyOf(current, 'driverError') ?? propertyOf(current, 'cause');
    }
    return false;
  }
}

/** Errors that the stores make themselves, with no answer of the server behind them. */
function isOwn(error: object): boolean {
  const code = propertyOf(error, 'code');
  return code === 'SAGAZ_DATABASE_UNREACHABLE' || code === 'SAGAZ_LOCK_TIMEOUT';
}

/**
 * An error with the code of a server's, but without the place in the server's source that every server
 * names: the application made it, to say that a conflict happened. No other database did.
 */
function isMade(error: object): boolean {
  const wraps = ['driverError', 'cause', 'routine'].some(
    (name) => propertyOf(error, name) !== undefined,
  );
  return typeof propertyOf(error, 'code') === 'string' && !wraps;
}
