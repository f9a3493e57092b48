import { PATTERN_METADATA } from '@nestjs/microservices/constants.js';
import { valueText } from '@sagaz/core';

/** The patterns that `@EventPattern` or `@MessagePattern` declares for a method, as texts. */
export function declaredPatterns(method: object): readonly string[] {
  const declared: unknown = Reflect.getMetadata(PATTERN_METADATA, method);
  return Array.isArray(declared) ? declared.map(textOf) : [];
}

/**
 * The declared pattern by which a message reached a method. A wildcard is returned as it was declared,
 * because a sender chooses what stands in its place. undefined: the method declares several patterns,
 * and none of them is that of the message itself.
 */
export function declaredPatternOf(method: object, pattern: string): string | undefined {
  const declared = declaredPatterns(method);
  const [only, ...others] = declared;
  if (others.length === 0) return only;
  return declared.includes(pattern) ? pattern : undefined;
}

function textOf(pattern: unknown): string {
  if (typeof pattern === 'string') return pattern;
  if (pattern instanceof RegExp) return String(pattern);
  // As Nest writes the pattern of a message that is an object: `{"cmd":"sum"}`.
  return typeof pattern === 'object' ? JSON.stringify(pattern) : valueText(pattern);
}
