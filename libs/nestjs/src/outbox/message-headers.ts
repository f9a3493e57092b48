import { AsyncLocalStorage } from 'node:async_hooks';
import { inspect } from 'node:util';
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

const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;
/** RabbitMQ closes the connection over headers that fill a frame of 128 kB. */
const LARGEST = 65_536;

/** A user's headers, lower-case. @throws InvalidHeaderError */
export function userHeaders(headers: Headers | undefined, type: string): Headers {
  if (headers === undefined) return {};
  if (typeof headers !== 'object' || Array.isArray(headers)) {
    throw new InvalidHeaderError(inspect(headers), type, 'is no object of names and values');
  }
  const lower: Record<string, string> = {};
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase();
    if (!/^[a-z0-9_.-]+$/.test(key)) throw new InvalidHeaderError(name, type, 'has no such name');
    if (RESERVED.test(key)) throw new InvalidHeaderError(name, type, 'belongs to Sagaz');
    if (typeof value !== 'string') throw new InvalidHeaderError(name, type, 'is no text');
    // Brokers carry headers as lines of text, some of them literally.
    if (UNPRINTABLE.test(value)) throw new InvalidHeaderError(name, type, 'is no line of text');
    if (key in lower) throw new InvalidHeaderError(name, type, 'is there twice');
    bytes += key.length + Buffer.byteLength(value);
    if (bytes > LARGEST) {
      throw new InvalidHeaderError(name, type, `makes its headers longer than ${LARGEST} bytes`);
    }
    lower[key] = value;
  }
  return lower;
}
