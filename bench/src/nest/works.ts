import type { INestApplication } from '@nestjs/common';
import { newId, placeOfKey, type OutboxMessage } from '@sagaz/core';
import { Outbox } from '@sagaz/nestjs';
import { DataSource } from 'typeorm';
import { messageOf } from '../messages.js';
import type { BenchApplication } from './application.js';
import { business } from './business.js';
import { BARE, PLAIN_ID } from './handlers.js';
import { BenchHappened, HAPPENED } from './happened.js';
import type { StoreWorks } from './store-works.js';

/**
 * The transactions that are measured: a business transaction with each kind of message, and a handler with each kind of
 * inbox; in an application of Nest, and once more with the store alone.
 */
export type TransactionKind =
  | 'bareTransaction'
  | 'plainInsert'
  | 'enqueue'
  | 'hotKey'
  | 'bareHandler'
  | 'plainId'
  | 'inbox'
  | 'storeBare'
  | 'storeEnqueue'
  | 'storeInbox';

const { signal } = new AbortController();
const PLAIN_INSERT = `INSERT INTO plain (slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`;

export type Work = (index: number) => Promise<void>;

/** The work of each kind, for `count` calls. */
export function workOf(
  { app, broker, transport }: BenchApplication,
  bare: DataSource,
  store: StoreWorks,
): Record<TransactionKind, (count: number) => Work> {
  const { dataSource, outbox } = partsOf(app);
  const enqueue = (keyOf: () => string): Work => {
    return () =>
      dataSource.transaction(async (manager) => {
        await business(manager);
        await outbox.publish(BenchHappened, HAPPENED, { key: keyOf(), manager });
      });
  };
  return {
    bareTransaction: () => () => bare.transaction((manager) => business(manager)),
    plainInsert: () => () =>
      bare.transaction(async (manager) => {
        await business(manager);
        await manager.query(PLAIN_INSERT, plainValues(messageOf(newId())));
      }),
    enqueue: () => enqueue(newId),
    hotKey: () => enqueue(() => 'hot'),
    bareHandler: () => () => transport.deliver(BARE, HAPPENED),
    plainId: () => () => transport.deliver(PLAIN_ID, { ...HAPPENED, id: newId() }),
    inbox: (count) => ofMessages(count, (message) => broker.deliver(message, signal)),
    storeBare: () => () => store.bare(),
    storeEnqueue: () => () => store.enqueue(),
    storeInbox: (count) => ofMessages(count, (message) => store.inbox(message)),
  };
}

/** The messages are made beforehand, because a broker brings them with or without an inbox. */
function ofMessages(count: number, handle: (message: OutboxMessage) => Promise<void>): Work {
  const messages = Array.from({ length: count }, () => messageOf(newId()));
  return (index) => {
    const message = messages[index];
    if (message === undefined) throw new Error('There are not enough messages.');
    return handle(message);
  };
}

function partsOf(app: INestApplication): {
  readonly dataSource: DataSource;
  readonly outbox: Outbox;
} {
  return { dataSource: app.get(DataSource), outbox: app.get(Outbox) };
}

function plainValues(message: OutboxMessage): unknown[] {
  return [
    placeOfKey(message.tenant, message.topic, message.key).slot,
    message.id,
    message.tenant,
    message.topic,
    message.key,
    message.type,
    message.source,
    message.time,
    message.contentType,
    JSON.stringify(message.headers),
    Buffer.from(message.payload),
  ];
}
