import { plainDetails } from './plain-details.js';
import { isSagaRefusal } from './saga-refusal.js';
import { isError, propertyOf } from './thrown-value.js';
import { redactedBeginning } from './redacted.js';
import { bounded } from './well-formed.js';

/** A thrown value as it is stored: what a person needs, bounded, and plain data. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  /** The error's own `code`, where it has one. */
  readonly code?: string;
  /** The reason of a refusal, `out_of_stock` for example. */
  readonly reason?: string;
  readonly details?: unknown;
  /**
   * The causes of this error, nearest first: its `cause`, the cause of that one, and the members of an
   * `AggregateError`, which need not be errors.
   */
  readonly causes?: readonly string[];
  readonly stack?: string;
}

const LONGEST_NAME = 200;
const LONGEST_MESSAGE = 4_000;
const LONGEST_STACK = 4_000;
const LONGEST_CAUSE = 1_000;
const LONGEST_REASON = 500;
const MOST_CAUSES = 8;

/**
 * Marks an error whose message describes its cause itself, for instance because the cause's own
 * message has a password in it. Such a cause is for debuggers, and is not written anywhere.
 */
export const CAUSE_TOLD: unique symbol = Symbol.for('sagaz.cause-told');

/**
 * Makes a record of any thrown value that JSON can hold and the journal can read back. The value may
 * be an error, a plain object, a text, `undefined`, or one that throws when it is read; this function
 * never throws. Drivers put urls with passwords into their messages; the record has no password.
 */
export function errorRecord(thrown: unknown): ErrorRecord {
  try {
    return describe(thrown);
  } catch {
    return { name: 'Error', message: UNREADABLE };
  }
}

const UNREADABLE = 'Something was thrown that cannot be read.';

function describe(thrown: unknown): ErrorRecord {
  const name = nameOf(thrown);
  const causes = causesOf(thrown);
  const own = messageOf(thrown);
  const code = propertyOf(thrown, 'code');
  const stack = propertyOf(thrown, 'stack');
  return {
    name,
    // An AggregateError of a socket has no message of its own; its errors say what happened.
    message:
      own === ''
        ? bounded(without(causes, code, name), LONGEST_MESSAGE)
        : redactedBeginning(own, LONGEST_MESSAGE),
    ...(typeof code === 'string' || typeof code === 'number'
      ? { code: bounded(String(code), LONGEST_NAME) }
      : {}),
    ...refusalOf(thrown),
    ...(causes.length === 0 ? {} : { causes }),
    ...(typeof stack === 'string' && isError(thrown)
      ? { stack: redactedBeginning(stack, LONGEST_STACK) }
      : {}),
  };
}

function without(causes: readonly string[], code: unknown, name: string): string {
  if (causes.length > 0) return causes.join('; ');
  return typeof code === 'string' && code !== '' ? code : `${name} without a message.`;
}

/** A text that names the class of what was thrown. */
function nameOf(thrown: unknown): string {
  const own = propertyOf(thrown, 'name');
  if (typeof own === 'string' && own !== '' && typeof thrown !== 'function') {
    return bounded(own, LONGEST_NAME);
  }
  if (!isError(thrown)) return 'Error';
  const made = propertyOf(propertyOf(thrown, 'constructor'), 'name');
  return typeof made === 'string' && made !== '' ? bounded(made, LONGEST_NAME) : 'Error';
}

/** Never throws, so that one member or cause that cannot be read does not hide the others. */
function messageOf(thrown: unknown): string {
  try {
    return textOf(thrown);
  } catch {
    return UNREADABLE;
  }
}

function textOf(thrown: unknown): string {
  switch (typeof thrown) {
    case 'string':
      return thrown;
    case 'undefined':
      return 'undefined was thrown.';
    case 'number':
    case 'boolean':
    case 'bigint':
    case 'symbol':
      return String(thrown);
    case 'function':
      return 'A function was thrown.';
    case 'object':
      return thrown === null ? 'null was thrown.' : ofObject(thrown);
  }
}

function ofObject(thrown: object): string {
  const message = propertyOf(thrown, 'message');
  if (typeof message === 'string') return message;
  // Nest's exceptions and validators give lists of texts.
  if (message !== undefined && message !== null) return shown(message);
  if (isError(thrown)) return '';
  const told = propertyOf(thrown, 'error');
  if (typeof told === 'string') return told;
  return shown(thrown);
}

/** A value as JSON text, or its kind where the JSON text has no content. */
function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) {
    return value.join('; ');
  }
  if (typeof value === 'symbol') return String(value);
  const text = JSON.stringify(plainDetails(value));
  return text === '{}' ? `${Object.prototype.toString.call(value)} was thrown.` : text;
}

function refusalOf(thrown: unknown): Pick<ErrorRecord, 'reason' | 'details'> {
  if (!isSagaRefusal(thrown)) return {};
  const reason = propertyOf(thrown, 'reason');
  return {
    reason: bounded(
      typeof reason === 'string' ? reason : shown(plainDetails(reason)),
      LONGEST_REASON,
    ),
    details: plainDetails(propertyOf(thrown, 'details')),
  };
}

/**
 * The causes of an error. Their number is limited, since there may be many, and they may form a
 * circle.
 */
function causesOf(thrown: unknown): readonly string[] {
  const causes: string[] = [];
  const seen = new Set<unknown>([thrown]);
  // Of what is kept only: to look for one long text in another takes the product of their lengths.
  const told = messageOf(thrown).slice(0, LONGEST_MESSAGE);
  const queue = behind(thrown);
  for (let cause = queue.shift(); cause !== undefined; cause = queue.shift()) {
    if (causes.length >= MOST_CAUSES) break;
    if (seen.has(cause.value)) continue;
    seen.add(cause.value);
    const message = messageOf(cause.value);
    queue.push(...behind(cause.value));
    // Many errors that wrap another one repeat its message.
    if (message === '' || (told !== '' && told.includes(message.slice(0, LONGEST_CAUSE)))) continue;
    causes.push(redactedBeginning(titled(nameOf(cause.value), message), LONGEST_CAUSE));
  }
  return causes;
}

/**
 * The direct causes of an error. Each is wrapped in an object, because a cause may be `undefined` or
 * `null`.
 */
function behind(thrown: unknown): { readonly value: unknown }[] {
  const found: { readonly value: unknown }[] = [];
  if (propertyOf(thrown, CAUSE_TOLD) === true) return found;
  const cause = propertyOf(thrown, 'cause');
  if (isError(thrown) ? cause !== undefined && cause !== null : isError(cause)) {
    found.push({ value: cause });
  }
  for (const value of membersOf(thrown)) {
    // `Promise.any` puts in whatever its promises were rejected with. A list in a plain object is as a
    // rule data, so only the errors in it are causes.
    if (isError(thrown) || isError(value)) found.push({ value });
  }
  return found;
}

/** The first members of `errors`, as an `AggregateError` has them. Never throws. */
function membersOf(thrown: unknown): readonly unknown[] {
  const errors = propertyOf(thrown, 'errors');
  try {
    return Array.isArray(errors) ? errors.slice(0, MOST_CAUSES) : [];
  } catch {
    // It is a proxy that was revoked, or one whose trap throws.
    return [];
  }
}

/** The name of the error's class and its message; only the message where the name says nothing. */
export function titled(name: string, message: string): string {
  return name === 'Error' ? message : `${name}: ${message}`;
}
