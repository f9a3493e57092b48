const CHARSET = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/** The media type of a content type, in lower case and without parameters: `application/json`. */
export function mediaTypeOf(contentType: string): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** Whether two content types have the same media type. */
export function sameMediaType(one: string, other: string): boolean {
  return one === other || mediaTypeOf(one) === mediaTypeOf(other);
}

/**
 * Whether a content type is JSON in UTF-8: `application/json`, `text/json`, and every media type that
 * ends with `+json` (RFC 6839). Another character set is refused, since some of its texts are valid
 * UTF-8 with another meaning.
 */
export function isJsonContentType(contentType: string): boolean {
  const type = mediaTypeOf(contentType);
  if (type !== 'application/json' && type !== 'text/json' && !type.endsWith('+json')) return false;
  const charset = CHARSET.exec(contentType)?.[1]?.toLowerCase();
  return charset === undefined || ['utf-8', 'utf8', 'us-ascii'].includes(charset);
}
