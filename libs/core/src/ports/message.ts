/**
 * A message as brokers carry it: CloudEvents 1.0 attributes and a body of bytes. The consumer reads
 * exactly the bytes that the producer wrote.
 */
export interface Message {
  /** The id, a UUIDv7; it never changes, however often the message is published. */
  readonly id: string;
  /** The tenant; `''` in applications with one tenant. */
  readonly tenant: string;
  /** The topic to which the message is published. By default the first segment of `type`. */
  readonly topic: string;
  /** Messages of one (tenant, topic, key) stay in order. */
  readonly key: string;
  /** The contract's name, for example `inventory.reserve`. CloudEvents `type`. */
  readonly type: string;
  /** The service that produced it. CloudEvents `source`; ids are unique within it. */
  readonly source: string;
  /** ISO 8601; when it was produced, by the producer's host. For people, not for decisions. */
  readonly time: string;
  readonly contentType: string;
  readonly payload: Uint8Array;
  /**
   * The headers: `traceparent`, `sagaz-…`, `ce_dataschema` and the user's own. Their names are in lower
   * case.
   */
  readonly headers: Readonly<Record<string, string>>;
}

/** A message on its way into an outbox. */
export interface OutboxMessage extends Message {
  /** `false`: no key lock is taken, and order among messages of the key is not promised. */
  readonly ordered: boolean;
  /**
   * How long the message waits before it may be published, in milliseconds; it takes its place in its
   * key only then.
   */
  readonly delayMs: number;
}

/** Headers that Sagaz gives a meaning to. */
export const HEADERS = {
  /** The saga a message belongs to. */
  sagaId: 'sagaz-saga-id',
  /** The step that sent the command. */
  step: 'sagaz-step',
  /** `<saga>:<step>[:<item>]`: the same on every retry of a step. */
  idempotencyKey: 'sagaz-idempotency-key',
  /** `command`, `compensation` or `reply`; absent on events. */
  role: 'sagaz-role',
  /** The topic on which the sender of a command awaits the reply. */
  replyTo: 'sagaz-reply-to',
  /** On a reply: `ok`, `refused` or `failed`. */
  replyStatus: 'sagaz-reply-status',
  /**
   * On a command: ISO 8601 instant after which it must not be executed. The producer's store computes
   * it from the database's clock.
   */
  expiresAt: 'sagaz-expires-at',
  /** The message that caused this one. */
  causationId: 'sagaz-causation-id',
  /** Follows a business transaction through all messages. */
  correlationId: 'sagaz-correlation-id',
  /** On a reply: the role of the message that it answers, `command` or `compensation`. */
  repliesTo: 'sagaz-replies-to',
  /** On a reply: the type of the command that it answers. */
  commandType: 'sagaz-command-type',
  /** `v1=<key id>:<MAC>`, where messages are signed. */
  signature: 'sagaz-signature',
  /**
   * The schema of the body: CloudEvents `dataschema`, under the name that Kafka's binding gives it. Absent
   * if the contract names none.
   */
  dataSchema: 'ce_dataschema',
  /** On a dead letter only, and never taken from a sender: the digest of a message that was not trusted. */
  untrusted: 'sagaz-untrusted',
  /** In the landing queue only: the attributes of a message that a row cannot hold as they came. */
  landed: 'sagaz-landed',
} as const;
