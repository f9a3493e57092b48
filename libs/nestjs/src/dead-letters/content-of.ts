interface Payload {
  readonly contentType: string;
  readonly payload: Uint8Array;
}

/** Decodes a payload for people to read; null if it cannot be decoded. Never throws. */
export function contentOf({ contentType, payload }: Payload): unknown {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const isJson = type === 'application/json' || type.endsWith('+json');
  if (!isJson && !type.startsWith('text/')) return null;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(payload);
    return isJson ? (JSON.parse(text) as unknown) : text;
  } catch {
    return null;
  }
}
