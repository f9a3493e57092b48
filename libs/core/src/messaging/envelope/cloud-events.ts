import { HEADERS, type Message } from '../../ports/index.js';
import { MalformedEnvelopeError } from './malformed-envelope.error.js';

/**
 * How attribute names are written, by protocol binding: `ce_` in Kafka, `ce-` in HTTP and NATS,
 * `cloudEvents:` in AMQP.
 */
export type AttributePrefix = 'ce_' | 'ce-' | 'cloudEvents:';

/** The name under which a binding carries `datacontenttype`. */
const CONTENT_TYPE = 'content-type';
/** Extension attributes; names of attributes are lower-case letters and digits only. */
const KEY = 'partitionkey';
const TENANT = 'sagaztenant';

/** An attribute that a {@link Message} has among its headers, since few messages have one. */
const SCHEMA = 'dataschema';

const OWN = ['specversion', 'id', 'type', 'source', 'time', SCHEMA, KEY, TENANT] as const;

/**
 * A message as headers beside its body, in the binary mode of CloudEvents 1.0
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md): a consumer that has never
 * heard of Sagaz can read it. `traceparent`, `sagaz-…` and the user's own headers go as they are.
 */
export function toHeaders(message: Message, prefix: AttributePrefix): Record<string, string> {
  const { [HEADERS.dataSchema]: dataSchema, ...given } = message.headers;
  const headers: Record<string, string> = given;
  // Attributes are set after the user's headers, so that a header with the name of an attribute does
  // not replace it.
  headers[CONTENT_TYPE] = message.contentType;
  headers[`${prefix}specversion`] = '1.0';
  headers[`${prefix}id`] = message.id;
  headers[`${prefix}type`] = message.type;
  headers[`${prefix}source`] = message.source;
  headers[`${prefix}time`] = message.time;
  if (dataSchema !== undefined) headers[`${prefix}${SCHEMA}`] = dataSchema;
  headers[`${prefix}${KEY}`] = message.key;
  if (message.tenant !== '') headers[`${prefix}${TENANT}`] = message.tenant;
  return headers;
}

/** The parts of a message that are not in its headers. */
export interface Carried {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** The broker's own key, for producers that set no `partitionkey`. Default: the id. */
  readonly key?: string;
}

/**
 * Reads a message from headers and body, whichever producer made them. Attributes that CloudEvents does
 * not require may be missing.
 *
 * @throws MalformedEnvelopeError when `id`, `type` or `source` is missing, or the version is another
 */
export function fromHeaders(
  headers: Readonly<Record<string, string | undefined>>,
  carried: Carried,
  prefix: AttributePrefix,
): Message {
  const attribute = (name: string): string | undefined => headers[`${prefix}${name}`];
  const required = (name: string): string => {
    const value = attribute(name);
    // An empty id is refused, since all such messages of a source would count as the same message.
    if (value === undefined || value === '') {
      throw new MalformedEnvelopeError(carried.topic, `${prefix}${name}`, value);
    }
    return value;
  };
  const version = attribute('specversion');
  if (version !== undefined && !/^1\./.test(version)) {
    throw new MalformedEnvelopeError(carried.topic, `${prefix}specversion`, version);
  }
  const own = new Set<string>(OWN.map((name) => `${prefix}${name}`));
  own.add(CONTENT_TYPE);
  // Under another prefix this is a header of the producer's own, which must not pass for the attribute.
  own.add(HEADERS.dataSchema);
  const rest: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !own.has(name)) rest[name] = value;
  }
  const dataSchema = attribute(SCHEMA);
  if (dataSchema !== undefined && dataSchema !== '') rest[HEADERS.dataSchema] = dataSchema;
  const id = required('id');
  return {
    id,
    tenant: attribute(TENANT) ?? '',
    topic: carried.topic,
    key: attribute(KEY) ?? carried.key ?? id,
    type: required('type'),
    source: required('source'),
    time: attribute('time') ?? '',
    contentType: headers[CONTENT_TYPE] ?? 'application/octet-stream',
    payload: carried.payload,
    headers: rest,
  };
}
