import type { INestApplicationContext, LoggerService } from '@nestjs/common';
import { systemClock, type BrokerDriver, type InboxEvent, type Message } from '@sagaz/core';
import { MemoryBroker } from '@sagaz/core/memory';
import { HandlerObservers } from '@sagaz/nestjs';
import { randomUUID } from 'node:crypto';

export type Given = Partial<Omit<Message, 'payload'>> & {
  readonly type: string;
  /** Sent as JSON; bytes are sent as they are. */
  readonly payload?: unknown;
};

/** Sends messages past every outbox, and tells what became of them. */
export class MessageBench {
  readonly broker = new MemoryBroker({ clock: systemClock });
  readonly driver: BrokerDriver = {
    kind: 'broker',
    name: 'memory',
    create: async () => this.broker,
  };
  readonly events: InboxEvent[] = [];
  #watchers: (() => void)[] = [];

  /** To be called before the messages are sent whose end is awaited. */
  watch(app: INestApplicationContext): void {
    app.get(HandlerObservers).add({
      ended: (event) => {
        this.events.push(event);
        for (const watcher of this.#watchers.splice(0)) watcher();
      },
    });
  }

  /** Hands a message to the broker and answers its id. */
  async send({ payload = {}, ...given }: Given): Promise<Message> {
    const id = given.id ?? randomUUID();
    const message: Message = {
      id,
      tenant: '',
      topic: given.type.split('.')[0] ?? given.type,
      key: id,
      source: 'a-test',
      time: '2026-01-01T00:00:00.000Z',
      contentType: 'application/json',
      headers: {},
      ...given,
      payload:
        payload instanceof Uint8Array ? payload : new TextEncoder().encode(JSON.stringify(payload)),
    };
    await this.broker.publish([message]);
    return message;
  }

  /** The ends of a message's deliveries, once there are so many of them. */
  async ends(id: string, count = 1): Promise<readonly InboxEvent[]> {
    for (;;) {
      const ends = this.events.filter(({ message }) => message.id === id);
      if (ends.length >= count) return ends;
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** Sends a message and answers how its first delivery ended. */
  async deliver(given: Given): Promise<InboxEvent['outcome']> {
    const { id } = await this.send(given);
    const [end] = await this.ends(id);
    if (end === undefined) throw new Error('unreachable');
    return end.outcome;
  }

  /** The outcome of each delivery, in order. */
  async kinds(id: string, count: number): Promise<readonly string[]> {
    return (await this.ends(id, count)).map(({ outcome }) => outcome.kind);
  }
}

/** Keeps what is logged as an error. */
export class ErrorLog implements LoggerService {
  readonly errors: string[] = [];

  error(...message: unknown[]): void {
    this.errors.push(message.map(String).join(' '));
  }
  fatal(...message: unknown[]): void {
    this.error(...message);
  }
  log(): void {
    // Not of interest here.
  }
  warn(): void {
    // Not of interest here.
  }
}
