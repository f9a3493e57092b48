import { createHash } from 'node:crypto';

/**
 * Digest of a saga's input, which does not depend on the order of properties: the same start written
 * by another version of a caller must not look like another input.
 */
export function inputDigest(input: unknown): string {
  return createHash('sha256').update(canonical(input)).digest('hex');
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
