import { KafkaContext, RmqContext } from '@nestjs/microservices';

/** A message from one of Nest's own transports. */
export interface ForeignMessage {
  readonly transport: 'kafka' | 'rabbitmq';
  /** The topic, or the pattern. */
  readonly pattern: string;
  /** The headers; names are in lower case, and values that are no text are left out. */
  readonly headers: Readonly<Record<string, string>>;
  /** CloudEvents `id`, or AMQP's `messageId`. */
  readonly id: string | undefined;
  /** CloudEvents `source`, AMQP's `appId`, or the pattern: ids are unique within it. */
  readonly source: string;
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function text(value: unknown): string | undefined {
  const one: unknown = Array.isArray(value) ? value[0] : value;
  if (Buffer.isBuffer(one)) return one.toString();
  return typeof one === 'string' && one !== '' ? one : undefined;
}

function headersOf(given: unknown): Record<string, string> {
  if (typeof given !== 'object' || given === null) return {};
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]): [string, string][] => {
      const found = text(value);
      return found === undefined ? [] : [[name.toLowerCase(), found]];
    }),
  );
}

/**
 * Reads a CloudEvents 1.0 attribute. Its header begins with `ce_` in Kafka and with `cloudEvents:`, or
 * `cloudEvents_` if a colon is not allowed, in AMQP.
 */
function attribute(headers: Readonly<Record<string, string>>, name: string): string | undefined {
  return headers[`ce_${name}`] ?? headers[`cloudevents:${name}`] ?? headers[`cloudevents_${name}`];
}

/** Reads the message of a context; undefined: the context belongs to another transport. */
export function foreignMessageOf(context: unknown): ForeignMessage | undefined {
  if (context instanceof KafkaContext) {
    const headers = headersOf(context.getMessage().headers);
    const pattern = context.getTopic();
    return {
      transport: 'kafka',
      pattern,
      headers,
      id: attribute(headers, 'id'),
      source: attribute(headers, 'source') ?? pattern,
    };
  }
  if (context instanceof RmqContext) {
    const properties: unknown = context.getMessage()['properties'];
    const headers = headersOf(property(properties, 'headers'));
    const pattern = context.getPattern();
    return {
      transport: 'rabbitmq',
      pattern,
      headers,
      id: attribute(headers, 'id') ?? text(property(properties, 'messageId')),
      source: attribute(headers, 'source') ?? text(property(properties, 'appId')) ?? pattern,
    };
  }
  return undefined;
}

interface AckChannel {
  ack(message: unknown): void;
  nack(message: unknown, allUpTo: boolean, requeue: boolean): void;
}

function isAckChannel(value: unknown): value is AckChannel {
  return (
    typeof property(value, 'ack') === 'function' && typeof property(value, 'nack') === 'function'
  );
}

/**
 * Returns the functions that acknowledge or reject a message at RabbitMQ; undefined on Kafka, where
 * Nest tells the client.
 */
export function acknowledgerOf(
  context: unknown,
): { readonly ack: () => void; readonly requeue: () => void } | undefined {
  if (!(context instanceof RmqContext)) return undefined;
  const channel: unknown = context.getChannelRef();
  const message = context.getMessage();
  if (!isAckChannel(channel)) return undefined;
  return {
    ack: () => {
      channel.ack(message);
    },
    requeue: () => {
      channel.nack(message, false, true);
    },
  };
}
