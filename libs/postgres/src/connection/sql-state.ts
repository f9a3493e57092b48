import { errorRecord, isError, propertyOf } from '@sagaz/core';
import { DatabaseUnreachableError, NoAnswerError } from './connection.errors.js';

/** The SQLSTATE of an error of PostgreSQL; undefined for any other value. */
export function sqlState(error: unknown): string | undefined {
  const code = propertyOf(error, 'code');
  return typeof code === 'string' &&
    /^[0-9A-Z]{5}$/.test(code) &&
    propertyOf(error, 'severity') !== undefined
    ? code
    : undefined;
}

/**
 * Whether the statement failed because of its data, so that it would fail again however often it is
 * repeated. Class 22: data exception (a NUL, a character that the encoding lacks, a number out of
 * range); 23: constraint; 54: a limit, such as a row that is too wide for an index; P0001: a trigger
 * refused it; XX000 from the server's memory: one value of more than a gigabyte. A text that grows too
 * long for this process while it is written for the server is a RangeError.
 */
export function isDataError(error: unknown): boolean {
  const state = sqlState(error);
  if (state === undefined) return isError(error) && propertyOf(error, 'name') === 'RangeError';
  if (state === 'XX000') return propertyOf(error, 'file') === 'mcxt.c';
  return state === 'P0001' || /^(22|23|54)/.test(state);
}

/**
 * Whether the transaction lost a race and may succeed next time (40001, 40P01, lock not available), or
 * a pooler lost its prepared statements, which the next one does not use. Such failures never count as
 * attempts.
 */
export function isTransientError(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01' || state === '55P03' || isForgottenStatement(error);
}

/**
 * Whether the name of a prepared statement is unknown or taken on this connection, because a pooler
 * gave the client another connection than the one it prepared on. The statement has not run.
 */
export function isForgottenStatement(error: unknown): boolean {
  const state = sqlState(error);
  return state === '26000' || state === '42P05';
}

/** Whether a lock was not free within `lock_timeout`. */
export function isLockTimeout(error: unknown): boolean {
  return sqlState(error) === '55P03';
}

/**
 * Whether a statement of Sagaz is refused until a person changes the database: the role lacks a grant
 * (42501), or a schema, table, column or function of Sagaz is missing (3F000, 42P01, 42703, 42883).
 */
export function isRefused(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && /^(42501|3F000|42P01|42703|42883)$/.test(state);
}

/** Whether the server, or the transaction, takes no writes. */
export function isReadOnly(error: unknown): boolean {
  return sqlState(error) === '25006';
}

/** Whether the transaction had failed before, so that all further statements in it are refused. */
export function isAbortedTransaction(error: unknown): boolean {
  return sqlState(error) === '25P02';
}

/**
 * Whether the connection failed and not the statement: PostgreSQL is away, shutting down or out of
 * connections, has ended the session because its transaction lasted too long, or the socket died. The
 * outcome of a statement that was under way is unknown.
 */
export function isConnectionError(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return /^(08|57P|53300|25P0[34])/.test(state);
  if (!isError(error)) return false;
  if (error instanceof DatabaseUnreachableError || error instanceof NoAnswerError) return true;
  const code = propertyOf(error, 'code');
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return true;
  return /Connection terminated|Client has encountered a connection error|timeout expired|timeout exceeded when trying to connect|Query read timeout/i.test(
    errorRecord(error).message,
  );
}
