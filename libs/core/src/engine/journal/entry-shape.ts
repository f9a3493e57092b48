import { FINAL_STATUSES } from '../../ports/index.js';
import { ROLES, type Awaited, type SagaEntry } from './saga-entry.js';

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string';
const number: Check = (value) => typeof value === 'number';
const flag: Check = (value) => typeof value === 'boolean';
const maybeText: Check = (value) => value === undefined || typeof value === 'string';
const textOrNull: Check = (value) => value === null || typeof value === 'string';
const tasks: Check = (value) =>
  Array.isArray(value) &&
  value.every(
    (task) =>
      isObject(task) &&
      ROLES.some((role) => role === task['role']) &&
      text(task['step']) &&
      textOrNull(task['item']),
  );
const error: Check = (value) =>
  isObject(value) &&
  text(value['name']) &&
  text(value['message']) &&
  ['code', 'reason', 'stack'].every((field) => maybeText(value[field])) &&
  (value['causes'] === undefined ||
    (Array.isArray(value['causes']) && value['causes'].every((cause) => text(cause))));
const trace: Check = (value) =>
  value === undefined || (isObject(value) && Object.values(value).every(text));
const final: Check = (value) => FINAL_STATUSES.some((status) => status === value);
const failure: Check = (value) => {
  if (!isObject(value)) return false;
  switch (value['kind']) {
    case 'step':
      return text(value['step']) && textOrNull(value['item']) && error(value['error']);
    case 'cancelled':
      return text(value['reason']);
    default:
      return value['kind'] === 'deadline';
  }
};

const AWAITED: Readonly<Record<Awaited['kind'], Check>> = {
  reply: (value) =>
    isObject(value) &&
    text(value['messageId']) &&
    text(value['type']) &&
    text(value['key']) &&
    maybeText(value['handledBy']),
};
const awaited: Check = (value) => {
  const kind = kindIn(value);
  return isAwaitedKind(kind) && AWAITED[kind](value);
};

/**
 * The fields that an entry of each kind must have. They are checked when an entry is read, so that a
 * damaged row is found at once.
 */
const SHAPES: Readonly<Record<SagaEntry['kind'], Readonly<Record<string, Check>>>> = {
  started: { by: text, epoch: number },
  completed: {},
  attempt_failed: { error, delayMs: number, doubt: flag },
  failed: { error, doubt: flag },
  unknown: { error },
  waiting: { for: awaited, timeoutMs: number },
  crashed: { delayMs: number, doubt: flag },
  released: { doubt: flag },
  late_success: {},
  saga_started: { trace },
  adopted: { by: text, epoch: number },
  failing: { failure, actor: maybeText },
  compensating: {},
  parked: {},
  mail_ignored: { mail: text, reason: text, actor: maybeText },
  needs_attention: { reason: text, detail: text },
  retry_requested: { again: tasks, reason: maybeText, actor: maybeText },
  saga_ended: { status: final, actor: maybeText },
};

/** The first field that is missing or has the wrong type; null: none. */
export function damagedField(
  kind: SagaEntry['kind'],
  data: Readonly<Record<string, unknown>>,
): string | null {
  for (const [field, holds] of Object.entries(SHAPES[kind])) if (!holds(data[field])) return field;
  return null;
}

/** Whether this version knows what the entry waits for, if it waits; true where that cannot be read. */
export function isKnown(kind: SagaEntry['kind'], data: Readonly<Record<string, unknown>>): boolean {
  const waitsFor = kindIn(data['for']);
  return kind !== 'waiting' || waitsFor === null || isAwaitedKind(waitsFor);
}

function isAwaitedKind(kind: string | null): kind is Awaited['kind'] {
  return kind !== null && Object.hasOwn(AWAITED, kind);
}

function kindIn(value: unknown): string | null {
  const kind = isObject(value) ? value['kind'] : undefined;
  return typeof kind === 'string' ? kind : null;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
