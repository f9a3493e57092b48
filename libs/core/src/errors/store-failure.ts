import { propertyOf } from './thrown-value.js';

/**
 * What a failed use of a database or broker says about the next one.
 * - `refused`: it fails again in the same way until a person changes something: a missing grant, schema,
 *   table or function, a role that may not log in, a server that only reads.
 * - `away`: nobody answers, or nobody who may: it passes by itself when the server is back.
 * - `failed`: everything else.
 */
export type StoreFailure = 'refused' | 'away' | 'failed';

/**
 * SQLSTATE classes 28 (authorization), 3D and 3F (no such database, schema), 42 (privileges, tables,
 * columns, functions), 0A (not supported), and 25006 (only reads). Not 42P05, a prepared statement that a
 * pooler mixed up: the next try goes without one.
 */
const REFUSED = /^(28|3D|3F|42|0A)[0-9A-Z]{3}$|^25006$/;
/** Class 08 (connection), 57P01 to 57P05 (shutting down, starting), 53300 (no connection left). */
const AWAY = /^08[0-9A-Z]{3}$|^57P0[1-5]$|^53300$/;
const SOCKET = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);
/** What `pg` says without a code when a connection is lost or does not come about. */
const LOST =
  /Connection terminated|connection error and is not queryable|timeout expired|timeout exceeded when trying to connect/i;

/** Judges by the error itself or by what caused it, also in another installed copy of the package. */
export function storeFailureOf(error: unknown): StoreFailure {
  let current = error;
  let away = false;
  // Bounded, because a chain of causes may be a circle.
  for (let depth = 0; depth < 8 && current != null; depth += 1) {
    const code = propertyOf(current, 'code');
    if (typeof code === 'string') {
      if (REFUSED.test(code) && code !== '42P05') return 'refused';
      if (AWAY.test(code) || SOCKET.has(code) || code === 'SAGAZ_NO_ANSWER') away = true;
    }
    const message = propertyOf(current, 'message');
    if (typeof message === 'string' && LOST.test(message)) away = true;
    const several = propertyOf(propertyOf(current, 'errors'), 0);
    current = propertyOf(current, 'driverError') ?? several ?? propertyOf(current, 'cause');
  }
  return away ? 'away' : 'failed';
}
