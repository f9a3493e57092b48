import { hash } from 'node:crypto';

/**
 * Computes a digest of a saga's input. It does not depend on the order of properties, so that the same
 * start made by another version of the caller does not look like another input.
 */
export function inputDigest(input: unknown): string {
  return hash('sha256', canonical(input));
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`);
    return `{${members.join(',')}}`;
  }
  return value === undefined ? 'undefined' : JSON.stringify(value);
}
