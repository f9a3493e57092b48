import { propertyOf } from './thrown-value.js';

/**
 * The kind of a failure of a database or broker, which says whether the next use can succeed.
 *
 * - `refused`: every use fails in the same way until a person changes something: a missing grant,
 *   schema, table or function, a role that may not log in, a server that is read-only.
 * - `away`: the server does not answer, is starting or stopping, or has no connection left; the failure
 *   passes by itself when the server is back.
 * - `failed`: any other failure.
 */
export type StoreFailure = 'refused' | 'away' | 'failed';

/**
 * SQLSTATE classes 28 (authorization), 3D and 3F (no such database, schema), 42 (privileges, tables,
 * columns, functions), 0A (not supported), and 25006 (the server is read-only). 42P05 is not among
 * them: a pooler has mixed up a prepared statement, and the next try uses none.
 */
const REFUSED = /^(28|3D|3F|42|0A)[0-9A-Z]{3}$|^25006$/;
/** The code of the error of a store that refuses its own statements in a transaction of the application. */
const STORE_REFUSED = 'SAGAZ_STORE_REFUSED';
/** Errors of Sagaz itself about something that only a person can change. */
const REFUSALS_BY_NAME: ReadonlySet<string> = new Set([
  STORE_REFUSED,
  'SAGAZ_MISSING_BROKER_GRANT',
  'SAGAZ_MISSING_PRIVILEGES',
  'SAGAZ_SCHEMA_OUTDATED',
]);
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
/** Messages of `pg`, without a code, when a connection is lost or cannot be opened. */
const LOST =
  /Connection terminated|connection error and is not queryable|timeout expired|timeout exceeded when trying to connect/i;

/**
 * Classifies a failure by the error itself or by one of its causes, also by errors of another copy of
 * the package.
 */
export function storeFailureOf(error: unknown): StoreFailure {
  let current = error;
  let away = false;
  // The search is limited, because a chain of causes may be a circle.
  for (let depth = 0; depth < 8 && current != null; depth += 1) {
    const code = propertyOf(current, 'code');
    if (typeof code === 'string') {
      if (REFUSED.test(code) && code !== '42P05') return 'refused';
      if (REFUSALS_BY_NAME.has(code)) return 'refused';
      if (AWAY.test(code) || SOCKET.has(code) || code === 'SAGAZ_NO_ANSWER') away = true;
    }
    const message = propertyOf(current, 'message');
    if (typeof message === 'string' && LOST.test(message)) away = true;
    const several = propertyOf(propertyOf(current, 'errors'), 0);
    current = propertyOf(current, 'driverError') ?? several ?? propertyOf(current, 'cause');
  }
  return away ? 'away' : 'failed';
}

/**
 * Whether, inside of a transaction of the application, the store refused a statement on its own tables.
 * That says nothing about the work in that transaction. A grant or a table of the application that is
 * missing is another error, and the work's own failure.
 */
export function isStoreRefusal(error: unknown): boolean {
  let current = error;
  // The search is limited, because a chain of causes may be a circle.
  for (let depth = 0; depth < 8 && current != null; depth += 1) {
    if (propertyOf(current, 'code') === STORE_REFUSED) return true;
    current = propertyOf(current, 'driverError') ?? propertyOf(current, 'cause');
  }
  return false;
}
