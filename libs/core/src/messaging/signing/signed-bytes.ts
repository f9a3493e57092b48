import { HEADERS, type Message } from '../../ports/index.js';

/**
 * The first field, so that bytes which were signed for another purpose are never taken for a message.
 */
const DOMAIN = 'sagaz-message-v1';

/** Headers that a signature does not cover: the signature itself, and the mark that a receiver adds. */
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
    .filter((name) => isMeaningful(name) && !LEFT_OUT.has(name))
    .sort();
  const fields: Uint8Array[] = [DOMAIN, id, type, source, tenant, topic, key, time, contentType]
    .concat(String(names.length))
    .concat(names.flatMap((name) => [name, headers[name] ?? '']))
    .map((text) => Buffer.from(text));
  fields.push(payload);
  return Buffer.concat(fields.flatMap((field) => [lengthOf(field), field]));
}

function isMeaningful(name: string): boolean {
  return name.startsWith('sagaz-') || name === HEADERS.dataSchema;
}

function lengthOf(field: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(field.byteLength);
  return length;
}

/**
 * Whether all signed texts are valid Unicode. Different halves of surrogate pairs have the same bytes
 * in UTF-8, so such texts would not be told apart.
 */
export function isSignable({ payload: _, headers, ...attributes }: Message): boolean {
  return [...Object.values(attributes), ...Object.entries(headers).flat()].every(
    (text) => !/[\ud800-\udfff]/u.test(text),
  );
}
