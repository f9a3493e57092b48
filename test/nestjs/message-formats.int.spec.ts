import { Controller, NotFoundException, type INestApplication } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import {
  DeadLetters,
  defineEvent,
  IdempotentHandler,
  MessageContext,
  Outbox,
  type PayloadCodec,
} from '@sagaz/nestjs';
import { createDatabase, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startService } from './app.js';
import { MessageBench } from './message-bench.js';

interface Parcel {
  readonly n: number;
}

/** Not JSON: the number as text. */
const numbers: PayloadCodec<Parcel> = {
  contentType: 'text/x-number',
  encode: ({ n }) => Buffer.from(String(n)),
  decode: (payload) => ({ n: Number(Buffer.from(payload).toString()) }),
};
const SCHEMA = 'urn:parcels:weighed:2';
const Weighed = defineEvent()('parcel.weighed', { codec: numbers, dataSchema: SCHEMA });
const Sent = defineEvent<Parcel>()('parcel.sent');

/** The messages that the handlers cannot handle now. */
const impossible = new Set<number>();
const handled: [n: number, schema: string | undefined][] = [];

@Controller()
class Parcels {
  @IdempotentHandler(Weighed)
  weighed(@Payload() { n }: Parcel, @Ctx() { dataSchema }: MessageContext): void {
    if (impossible.has(n)) throw new NotFoundException(`no parcel ${n}`);
    handled.push([n, dataSchema]);
  }

  @IdempotentHandler(Sent)
  sent(@Payload() { n }: Parcel, @Ctx() { dataSchema }: MessageContext): void {
    handled.push([n, dataSchema]);
  }
}

const server = postgresServers()[0]!;
const patience = { timeout: 20_000, interval: 20 };

describe('a message in the format of its contract', () => {
  let database: TestDatabase;
  let app: INestApplication;
  let letters: DeadLetters;
  let outbox: Outbox;
  const bench = new MessageBench();

  beforeAll(async () => {
    database = await createDatabase(server);
    app = await startService({
      databases: [{ url: database.url }],
      controllers: [Parcels],
      sagaz: {
        service: 'parcels',
        broker: bench.driver,
        roles: { engine: false, relay: true, consume: true },
        relay: { retry: { attempts: 1 }, pollInterval: 50, lease: '1s', publishTimeout: 500 },
      },
    });
    bench.watch(app);
    letters = app.get(DeadLetters);
    outbox = app.get(Outbox);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(() => {
    handled.length = 0;
  });

  it('reaches its handler through dead letters and replays of both sides', async () => {
    impossible.add(71);
    bench.broker.failWith(() => ({ kind: 'rejected', error: new Error('too heavy') }));
    await outbox.publish(Weighed, { n: 71 }, { standalone: true });
    const letter = {
      contentType: 'text/x-number',
      payload: Buffer.from('71'),
      headers: { ce_dataschema: SCHEMA },
    };
    const of = (side: 'outbox' | 'inbox') => letters.list({ side, type: 'parcel.weighed' });
    await vi.waitFor(async () => expect(await of('outbox')).toMatchObject([letter]), patience);
    bench.broker.failWith(undefined);
    await letters.replay((await of('outbox')).map(({ ref }) => ref));
    await vi.waitFor(async () => expect(await of('inbox')).toMatchObject([letter]), patience);
    impossible.delete(71);
    await letters.replay((await of('inbox')).map(({ ref }) => ref));
    await vi.waitFor(() => expect(handled).toEqual([[71, SCHEMA]]), patience);
  });

  it('names no schema where its contract names none', async () => {
    await outbox.publish(Sent, { n: 3 }, { standalone: true });
    await vi.waitFor(() => expect(handled).toEqual([[3, undefined]]), patience);
  });

  it('is a dead letter with the reason where its content type is another, and is never decoded', async () => {
    // The bytes would be read as a number, and as JSON too.
    for (const [type, contentType] of [
      ['parcel.weighed', 'application/json'],
      ['parcel.sent', 'text/x-number'],
    ] as const) {
      const { id } = await bench.send({ type, contentType, payload: Buffer.from('7') });
      await bench.ends(id);
      const [letter] = await letters.list({ side: 'inbox', type });
      expect(letter).toMatchObject({ messageId: id, reason: 'final', contentType });
      expect(letter?.error).toContain(
        `The payload of '${type}' has the content type '${contentType}', which`,
      );
    }
    expect(handled).toEqual([]);
  });
});
