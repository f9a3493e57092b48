import { jsonCodec, mediaTypeOf } from '@sagaz/core';

interface Payload {
  readonly contentType: string;
  readonly payload: Uint8Array;
}

/** Decodes a payload for people to read; null if it cannot be decoded. Never throws. */
export function contentOf({ contentType, payload }: Payload): unknown {
  try {
    if (jsonCodec.reads(contentType)) return jsonCodec.decode(payload) ?? null;
    if (!mediaTypeOf(contentType).startsWith('text/')) return null;
    return new TextDecoder('utf-8', { fatal: true }).decode(payload);
  } catch {
    return null;
  }
}
