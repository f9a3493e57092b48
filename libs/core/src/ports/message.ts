/**
 * A message as brokers carry it: CloudEvents 1.0 attributes beside a body of bytes. What the
 * consumer reads is, byte for byte, what the producer wrote.
 */
export interface Message {
  /** UUIDv7; never changes, whoever publishes the message and however often. */
  readonly id: string;
  /** `''` where there is only one tenant. */
  readonly tenant: string;
  /** Where it goes. By default the first segment of `type`. */
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
  /** Lower-case names: `traceparent`, `sagaz-…` and the user's own. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A message on its way into an outbox. */
export interface OutboxMessage extends Message {
  /** `false`: no key lock is taken, and order among messages of the key is not promised. */
  readonly ordered: boolean;
  /** Milliseconds from now before it may be published; it takes its place in its key only then. */
  readonly delayMs: number;
}

/** Headers that Sagaz gives a meaning to. */
export const HEADERS = {
  /** The saga a message belongs to. */
  sagaId: 'sagaz-saga-id',
  /** The step that sent the command. */
  step: 'sagaz-step',
  /** `<saga>:<step>[:<item>][#generation]`: the same on every retry of a step. */
  idempotencyKey: 'sagaz-idempotency-key',
  /** `command`, `compensation` or `reply`; absent on events. */
  role: 'sagaz-role',
  /** The topic on which the sender of a command awaits the reply. */
  replyTo: 'sagaz-reply-to',
  /** On a reply: `ok`, `refused` or `failed`. */
  replyStatus: 'sagaz-reply-status',
  /**
   * On a command: ISO 8601 instant after which it must not be executed. It is the producer's store
   * that draws it, from the database's clock.
   */
  expiresAt: 'sagaz-expires-at',
  /** The message that caused this one. */
  causationId: 'sagaz-causation-id',
  /** Follows a business transaction through all messages. */
  correlationId: 'sagaz-correlation-id',
  /** On a reply: the role of what it answers, `command` or `compensation`. */
  repliesTo: 'sagaz-replies-to',
  /** On a reply: the type of the command that it answers. */
  commandType: 'sagaz-command-type',
  /** `v1=<key id>:<MAC>`, where messages are signed. */
  signature: 'sagaz-signature',
  /** On a dead letter only, and never taken from a sender: the digest of a message that was not trusted. */
  untrusted: 'sagaz-untrusted',
} as const;
