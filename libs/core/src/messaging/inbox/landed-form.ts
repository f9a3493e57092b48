import { wellFormed } from '../../errors/index.js';
import {
  HEADERS,
  type Delivery,
  type InboxKey,
  type InboxLine,
  type Message,
} from '../../ports/index.js';
import { textDigest } from '../rules/index.js';

/** The most bytes of a topic or key in a row: an index entry holds both, and the tenant. */
const LONGEST_PART = 500;

/** The attributes of a message as they came, where a row cannot hold them. */
type Attributes = Omit<Message, 'payload' | 'headers'>;

/**
 * The topic or key of a message as a row of a landing queue has it, and as lists of dead letters are filtered
 * by: a text that no index can hold is replaced by its digest.
 */
export function landedPart(text: string): string {
  const fits = Buffer.byteLength(text) <= LONGEST_PART && wellFormed(text) === text;
  return fits ? text : textDigest(text);
}

/**
 * The message as a row of a landing queue holds it, whatever another producer wrote: with the parts of its
 * inbox key, by which the row is found, and with texts that every database can store and index. What that
 * changes is kept in a header, as it came.
 *
 * @param plain writes a text in characters that the database has
 */
export function landedForm(
  key: InboxKey,
  message: Message,
  plain: (text: string) => string = wellFormed,
): Message {
  const { payload, headers, ...attributes } = message;
  const stored: Attributes = {
    ...attributes,
    id: key.id,
    tenant: key.tenant,
    source: key.source,
    topic: plain(landedPart(message.topic)),
    key: plain(landedPart(message.key)),
    type: plain(message.type),
    time: plain(message.time),
    contentType: plain(message.contentType),
  };
  if (headers[HEADERS.landed] === undefined && same(stored, attributes)) return message;
  const kept = { ...headers, [HEADERS.landed]: JSON.stringify({ ...attributes, headers }) };
  return { ...stored, payload, headers: kept };
}

/** The message as it came, from the form that {@link landedForm} gave it. */
export function originalOf(stored: Message): Message {
  const kept = stored.headers[HEADERS.landed];
  if (kept === undefined) return stored;
  return { ...(JSON.parse(kept) as Omit<Message, 'payload'>), payload: stored.payload };
}

/**
 * The key in whose order a group handles the message, as its row in the landing queue has it; undefined:
 * none. A message without a key has no order, or all such messages would wait for each other.
 */
export function lineOf(
  key: InboxKey,
  { message, ordered = true }: Pick<Delivery, 'message' | 'ordered'>,
): InboxLine | undefined {
  if (!ordered || message.key === '') return undefined;
  return {
    tenant: key.tenant,
    topic: landedPart(message.topic),
    key: landedPart(message.key),
  };
}

function same(a: Attributes, b: Attributes): boolean {
  return (
    a.id === b.id &&
    a.tenant === b.tenant &&
    a.source === b.source &&
    a.topic === b.topic &&
    a.key === b.key &&
    a.type === b.type &&
    a.time === b.time &&
    a.contentType === b.contentType
  );
}
