import { errorMessage, propertyOf, redact } from '@sagaz/core';
import { DatabaseUnreachableError, InvalidSchemaNameError, NoDatabaseError } from '@sagaz/postgres';
import { NoUrlError, WrongUrlError } from './cli.errors.js';
import { EXIT_CODE, type ExitCode } from './exit-code.js';

/** A failure for people and scripts; it never contains a password. */
export interface Failure {
  readonly exitCode: ExitCode;
  readonly code: string;
  readonly message: string;
}

export function failureOf(error: unknown): Failure {
  const message = redact(errorMessage(error));
  return { exitCode: exitCodeOf(error), code: codeOf(error), message };
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof DatabaseUnreachableError) return EXIT_CODE.unreachable;
  const usage = [NoUrlError, WrongUrlError, NoDatabaseError, InvalidSchemaNameError];
  return usage.some((one) => error instanceof one) ? EXIT_CODE.usage : EXIT_CODE.failed;
}

function codeOf(error: unknown): string {
  const code = propertyOf(error, 'code');
  return typeof code === 'string' ? code : 'SAGAZ_FAILED';
}
