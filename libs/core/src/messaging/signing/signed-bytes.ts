import { HEADERS, type Message } from '../../ports/index.js';

/** The first field: bytes that were signed for another purpose are never those of a message. */
const DOMAIN = 'sagaz-message-v1';

/** Not part of what is signed: the signature itself, and what a receiver notes on a message. */
const LEFT_OUT: ReadonlySet<string> = new Set([HEADERS.signature, HEADERS.untrusted]);

/**
 * The bytes that a signature covers: the attributes, every header that Sagaz gives a meaning to, and the
 * body. Each field stands behind its length and the headers behind their number, so no two messages have
 * the same bytes. Other headers are left out, because brokers and tracing may change or add some on the
 * way.
 */
export function signedBytes(message: Message): Buffer {
  const { id, type, source, tenant, topic, key, time, contentType, headers, payload } = message;
  const names = Object.keys(headers)
    .filter((name) => name.startsWith('sagaz-') && !LEFT_OUT.has(name))
    .sort();
  const fields: Uint8Array[] = [DOMAIN, id, type, source, tenant, topic, key, time, contentType]
    .concat(String(names.length))
    .concat(names.flatMap((name) => [name, headers[name] ?? '']))
    .map((text) => Buffer.from(text));
  fields.push(payload);
  return Buffer.concat(fields.flatMap((field) => [lengthOf(field), field]));
}

function lengthOf(field: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(field.byteLength);
  return length;
}

/** Whether all that is signed has one encoding only: two halves of characters have the same in UTF-8. */
export function isSignable({ payload: _, headers, ...attributes }: Message): boolean {
  return [...Object.values(attributes), ...Object.entries(headers).flat()].every(
    (text) => !/[\ud800-\udfff]/u.test(text),
  );
}
