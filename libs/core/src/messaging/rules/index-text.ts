import { createHash } from 'node:crypto';

/**
 * The most characters of a message's id, and of every other part of the key by which a group recognises
 * the message. An index of PostgreSQL takes about 2,700 bytes, and four parts have to fit.
 */
export const LONGEST_MESSAGE_ID = 500;

/** Whether every database can have the text in an index. */
export function isIndexText(text: string): boolean {
  return text !== '' && text.length <= LONGEST_MESSAGE_ID && !/[\0\ud800-\udfff]/u.test(text);
}

/**
 * Replaces a text that no database could index by its digest. Ids of other services may contain NUL or
 * be a megabyte long, and a message that can be neither stored nor dead-lettered would be delivered for
 * ever.
 */
export function indexText(text: string): string {
  return text === '' || isIndexText(text) ? text : textDigest(text);
}

/** What stands for a text that cannot be stored or indexed, and tells it from all others. */
export function textDigest(text: string): string {
  return `sha256:${createHash('sha256').update(text, 'utf16le').digest('hex')}`;
}
