import { AsyncLocalStorage } from 'node:async_hooks';
import { InvalidHeaderError } from './errors.js';

export type Headers = Readonly<Record<string, string>>;

const surrounding = new AsyncLocalStorage<Headers>();

/**
 * Runs `work` so that messages published in it carry these headers too: what caused them, what they
 * belong to. Used around steps and handlers.
 */
export function withHeaders<T>(headers: Headers, work: () => T): T {
  return surrounding.run({ ...surrounding.getStore(), ...headers }, work);
}

/** The headers that surround the running code. */
export function surroundingHeaders(): Headers {
  return surrounding.getStore() ?? {};
}

const RESERVED = /^(sagaz-|ce_|content-type$)/;

/** A user's headers, lower-case. @throws InvalidHeaderError */
export function userHeaders(headers: Headers | undefined, type: string): Headers {
  const lower: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    const key = name.toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(key)) throw new InvalidHeaderError(name, type, 'has no such name');
    if (RESERVED.test(key)) throw new InvalidHeaderError(name, type, 'belongs to Sagaz');
    if (typeof value !== 'string') throw new InvalidHeaderError(name, type, 'is no text');
    lower[key] = value;
  }
  return lower;
}
