import { isSagaRefusal } from '../../errors/index.js';

/** An error as the journal keeps it: what a person needs, bounded, and plain data. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  /** The error's own `code`, where it has one. */
  readonly code?: string;
  /** The reason of a refusal, `out_of_stock` for example. */
  readonly reason?: string;
  readonly details?: unknown;
  readonly stack?: string;
}

const LONGEST_MESSAGE = 4_000;
const LONGEST_STACK = 4_000;

/** Whatever was thrown, as plain data. Never throws, whatever it is given. */
export function errorRecord(error: unknown): ErrorRecord {
  try {
    return describe(error);
  } catch {
    // A getter of the thrown value threw in turn.
    return { name: 'Error', message: 'An error that cannot be read.' };
  }
}

function describe(error: unknown): ErrorRecord {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error).slice(0, LONGEST_MESSAGE) };
  }
  const code: unknown = 'code' in error ? error.code : undefined;
  return {
    name: error.name,
    message: error.message.slice(0, LONGEST_MESSAGE),
    ...(typeof code === 'string' || typeof code === 'number' ? { code: String(code) } : {}),
    ...(isSagaRefusal(error) ? { reason: error.reason, details: plain(error.details) } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack.slice(0, LONGEST_STACK) }),
  };
}

/** Details that JSON cannot hold must not turn a "no" into an error. */
function plain(details: unknown): unknown {
  if (details === undefined) return null;
  const text: unknown = JSON.stringify(details);
  return typeof text === 'string' ? JSON.parse(text) : null;
}
