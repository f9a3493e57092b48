import { propertyOf } from './thrown-value.js';

/**
 * Limits of the details that are kept with an error, because they are stored in the journal and stay
 * in memory with the saga.
 */
const DEEPEST = 32;
const MOST_VALUES = 2_000;
const MOST_CHARACTERS = 64_000;

interface Left {
  values: number;
  characters: number;
}

/**
 * A value as JSON can hold it, for people to read. A value that JSON has no form for is written as
 * text; circles and everything beyond the limits are written as `…`. Plain data within the limits is
 * returned unchanged. Never throws.
 */
export function plainDetails(value: unknown): unknown {
  try {
    return viewOf(value, 0, new Set(), { values: MOST_VALUES, characters: MOST_CHARACTERS });
  } catch {
    return null;
  }
}

function viewOf(value: unknown, depth: number, above: Set<object>, left: Left): unknown {
  left.values -= 1;
  if (left.values < 0) return '…';
  switch (typeof value) {
    case 'string':
      return textOf(value, left);
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value + 0 : String(value);
    case 'bigint':
      return textOf(String(value), left);
    case 'undefined':
      return null;
    case 'function':
    case 'symbol':
      return typeof value;
    case 'object':
      return value === null ? null : objectView(value, depth, above, left);
  }
}

function textOf(value: string, left: Left): string {
  const kept = value.slice(0, Math.max(0, left.characters));
  left.characters -= kept.length;
  return kept.length < value.length ? `${kept}…` : kept;
}

function objectView(value: object, depth: number, above: Set<object>, left: Left): unknown {
  if (depth >= DEEPEST || above.has(value)) return '…';
  above.add(value);
  try {
    return membersOf(value, depth + 1, above, left);
  } catch {
    // A trap of a proxy threw.
    return 'a value that cannot be read';
  } finally {
    above.delete(value);
  }
}

function membersOf(value: object, depth: number, above: Set<object>, left: Left): unknown {
  if (value instanceof Date) {
    const time = value.getTime();
    return Number.isNaN(time) ? 'an invalid date' : value.toISOString();
  }
  if (value instanceof Error) {
    return viewOf({ name: value.name, message: value.message }, depth, above, left);
  }
  if (value instanceof Map) return viewOf([...value.entries()], depth, above, left);
  if (value instanceof Set) return viewOf([...value.values()], depth, above, left);
  if (ArrayBuffer.isView(value)) return `${String(value.byteLength)} bytes`;
  if (Array.isArray(value)) {
    const list: unknown[] = [];
    for (let index = 0; index < value.length; index += 1) {
      if (left.values <= 0) {
        list.push('…');
        break;
      }
      list.push(viewOf(value[index], depth, above, left));
    }
    return list;
  }
  const members: [string, unknown][] = [];
  for (const key of Object.keys(value)) {
    if (left.values <= 0) {
      members.push(['…', '…']);
      break;
    }
    const member = propertyOf(value, key);
    // JSON and the codec of payloads do the same.
    if (member === undefined || typeof member === 'function') continue;
    members.push([textOf(key, left), viewOf(member, depth, above, left)]);
  }
  // The member is defined and not assigned: assigning to `__proto__` would change the prototype.
  return Object.fromEntries(members);
}
