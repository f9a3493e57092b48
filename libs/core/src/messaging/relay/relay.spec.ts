import { describe, expect, it } from 'vitest';
import { HEADERS, type Message, type PublishOutcome } from '../../ports/index.js';
import { outboxMessage, RelayBench, severable, textOf, textsOf } from '../../testing/index.js';
import { MessageSigning } from '../signing/index.js';
import { PublishTimeoutTooLongError } from './index.js';

const rejected = (): Extract<PublishOutcome, { kind: 'rejected' }> => ({
  kind: 'rejected',
  error: new Error('refused'),
});

async function deadTexts(bench: RelayBench): Promise<string[]> {
  return textsOf(await bench.outbox.listDeadLetters({}));
}

describe('a relay', () => {
  it('publishes what was committed, in the order of its key, and removes it', async () => {
    const bench = new RelayBench();
    await bench.relay().start();
    await bench.clock.advance(100);
    await bench.write(outboxMessage('a', 1), outboxMessage('a', 2), outboxMessage('b', 1));
    await bench.clock.advance(20);
    expect(bench.published().filter((body) => body.startsWith('a'))).toEqual(['a:1', 'a:2']);
    expect(bench.published()).toHaveLength(3);
    expect(await bench.count()).toBe(0);
  });

  it('signs what leaves, with the same bytes at every attempt', async () => {
    const bench = new RelayBench();
    const signing = new MessageSigning({ keys: ['a key that has at least thirty-two bytes'] });
    const sent: Message[] = [];
    const publish = bench.broker.publish.bind(bench.broker);
    bench.broker.publish = (batch) => {
      sent.push(...batch);
      return sent.length === 1 ? Promise.resolve([rejected()]) : publish(batch);
    };
    await bench.relay({}, {}, { signing }).start();
    await bench.write(outboxMessage('a', 1));
    await bench.clock.advance(10_000);
    expect(bench.published()).toEqual(['a:1']);
    const [first, second] = sent.map(({ headers }) => headers[HEADERS.signature]);
    expect(first).toMatch(/^v1=/);
    expect(second).toBe(first);
    expect(sent.map((message) => signing.verify(message))).toEqual([null, null]);
  });

  it('counts by their kind the failures of its outbox', async () => {
    const bench = new RelayBench();
    const failures: string[] = [];
    const denied = Object.assign(new Error('permission denied'), {
      code: '42501',
      severity: 'ERROR',
    });
    bench.outbox.read = () => Promise.reject(denied);
    await bench.relay({}, { storeFailed: ({ failure }) => void failures.push(failure) }).start();
    await bench.clock.advance(5_000);
    expect(new Set(failures)).toEqual(new Set(['refused']));
  });

  it('finds by polling what no hint told it of', async () => {
    const bench = new RelayBench();
    bench.wakeUps.listening = false;
    await bench.relay().start();
    await bench.clock.advance(5_000);
    await bench.write(outboxMessage('a', 1));
    await bench.clock.advance(1_000);
    expect(bench.published()).toEqual(['a:1']);
  });

  it('gives a broker no more bytes at once than it can take in time, and a large message alone', async () => {
    const bench = new RelayBench();
    const [large, other] = [outboxMessage('a', 1), outboxMessage('b', 1)];
    const bytes = other.payload.byteLength;
    await bench.write({ ...large, payload: new TextEncoder().encode('x'.repeat(10 * bytes)) });
    await bench.write(other, outboxMessage('c', 1), outboxMessage('c', 2), outboxMessage('d', 1));
    const batches: number[][] = [];
    const publish = bench.broker.publish.bind(bench.broker);
    bench.broker.publish = (batch) => {
      batches.push(batch.map(({ payload }) => payload.byteLength));
      return publish(batch);
    };
    await bench.relay({ batchBytes: 2 * bytes }).start();
    await bench.clock.advance(100);
    // It depends on the slot that is read first which messages go together.
    expect(batches).toContainEqual([10 * bytes]);
    const small = batches.filter(([first]) => first === bytes);
    expect(small.flat()).toEqual([bytes, bytes, bytes, bytes]);
    expect(small.every((batch) => batch.length <= 2)).toBe(true);
    expect(small.length).toBeLessThan(4);
    expect(bench.published().filter((body) => body.startsWith('c'))).toEqual(['c:1', 'c:2']);
    expect(await bench.count()).toBe(0);
  });

  it('publishes at once on a hint while it is idle', async () => {
    const bench = new RelayBench();
    await bench.relay().start();
    await bench.clock.advance(5_000);
    await bench.write(outboxMessage('a', 1));
    await bench.clock.settle();
    expect(bench.published()).toEqual(['a:1']);
  });

  it('reads again when a hint came while a read was under way', async () => {
    const bench = new RelayBench();
    const outbox = severable(bench.outbox);
    await bench.relay({ pollIntervalMs: 60_000 }, {}, { outbox: outbox.value }).start();
    await bench.clock.advance(5_000);
    const answer = outbox.holdNext('read', 'after');
    bench.wakeUps.hint('outbox');
    await bench.clock.settle();
    await bench.write(outboxMessage('a', 1));
    answer();
    await bench.clock.advance(10);
    expect(bench.published()).toEqual(['a:1']);
  });

  it('publishes what was numbered early and committed late', async () => {
    const bench = new RelayBench();
    await bench.relay().start();
    await bench.clock.advance(100);
    const late = bench.transactions.begin();
    await bench.outbox.append([outboxMessage('late', 1)], late);
    for (let n = 0; n < 20; n += 1) {
      await bench.write(outboxMessage('early', n));
      await bench.clock.advance(500);
    }
    expect(bench.published()).toHaveLength(20);
    late.commit();
    await bench.clock.advance(1_100);
    expect(bench.published()).toContain('late:1');
  });

  it('publishes a delayed message when its delay is over', async () => {
    const bench = new RelayBench();
    await bench.relay().start();
    await bench.clock.advance(100);
    await bench.write(outboxMessage('a', 'later', { delayMs: 5_000 }), outboxMessage('a', 1));
    await bench.clock.advance(4_900);
    expect(bench.published()).toEqual(['a:1']);
    await bench.clock.advance(1_200);
    expect(bench.published()).toEqual(['a:1', 'a:later']);
  });

  it('refuses a publish timeout that outlives its leases', () => {
    const bench = new RelayBench();
    const broken = (): unknown => bench.relay({ leaseTtlMs: 5_000, publishTimeoutMs: 4_000 });
    expect(broken).toThrow(PublishTimeoutTooLongError);
    expect(broken).toThrow('at most 3000 ms');
  });
});

describe('a message that the broker refuses', () => {
  it('holds back its key and only its key, and comes before what followed it', async () => {
    const bench = new RelayBench();
    let refusals = 2;
    bench.broker.failWith((message) =>
      textOf(message) === 'bad:1' && refusals-- > 0 ? rejected() : null,
    );
    await bench.relay().start();
    await bench.write(
      outboxMessage('bad', 1),
      outboxMessage('bad', 2),
      outboxMessage('good', 1),
      outboxMessage('good', 2),
    );
    await bench.clock.advance(500);
    expect(bench.published()).toEqual(['good:1', 'good:2']);
    await bench.write(outboxMessage('bad', 3), outboxMessage('good', 3));
    await bench.clock.advance(10_000);
    expect(bench.published().filter((body) => body.startsWith('bad'))).toEqual([
      'bad:1',
      'bad:2',
      'bad:3',
    ]);
    expect(bench.published().indexOf('good:3')).toBeLessThan(bench.published().indexOf('bad:1'));
    expect(await bench.count()).toBe(0);
  });

  it('is a dead letter after its last attempt, and its key goes on', async () => {
    const bench = new RelayBench();
    const failed: number[] = [];
    const buried: string[] = [];
    bench.broker.failWith((message) => (textOf(message) === 'k:1' ? rejected() : null));
    await bench
      .relay(
        {},
        {
          failed: (_message, attempt) => failed.push(attempt),
          deadLettered: (message) => buried.push(textOf(message)),
        },
      )
      .start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
    await bench.clock.advance(30_000);
    expect(failed).toEqual([1, 2, 3]);
    expect(buried).toEqual(['k:1']);
    expect(bench.published()).toEqual(['k:2']);
    expect(await deadTexts(bench)).toEqual(['k:1']);
  });

  it('keeps its key behind it where the topic says so, until a person replays it', async () => {
    const bench = new RelayBench();
    bench.broker.failWith((message) => (textOf(message) === 'k:1' ? rejected() : null));
    await bench.relay({ afterDeadLetter: () => 'block' }).start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2), outboxMessage('other', 1));
    await bench.clock.advance(60_000);
    await bench.write(outboxMessage('k', 3));
    await bench.clock.advance(60_000);
    expect(bench.published()).toEqual(['other:1']);
    bench.broker.failWith(undefined);
    const [letter] = await bench.outbox.listDeadLetters({});
    await bench.outbox.replayDeadLetters([letter!.id]);
    await bench.clock.advance(10_000);
    expect(bench.published()).toEqual(['other:1', 'k:1', 'k:2', 'k:3']);
    expect(await bench.count()).toBe(0);
  });

  it('frees its key when a person discards it', async () => {
    const bench = new RelayBench();
    bench.broker.failWith((message) => (textOf(message) === 'k:1' ? rejected() : null));
    await bench.relay({ afterDeadLetter: () => 'block' }).start();
    await bench.write(outboxMessage('k', 1), outboxMessage('k', 2));
    await bench.clock.advance(60_000);
    const [letter] = await bench.outbox.listDeadLetters({});
    await bench.outbox.discardDeadLetters([letter!.id]);
    await bench.clock.advance(10_000);
    expect(bench.published()).toEqual(['k:2']);
  });

  it('tells the saga that waits for it when it is a command, and never blocks its key', async () => {
    const bench = new RelayBench();
    const woken: unknown[] = [];
    bench.wakeUps.on('saga', (detail) => woken.push(detail));
    bench.broker.failWith((message) => (textOf(message) === 'saga-1:1' ? rejected() : null));
    await bench.relay({ afterDeadLetter: () => 'block' }).start();
    await bench.write(
      outboxMessage('saga-1', 1, {
        headers: {
          'sagaz-role': 'command',
          'sagaz-saga-id': 'saga-1',
          'sagaz-idempotency-key': 'saga-1:charge',
        },
      }),
      outboxMessage('saga-1', 'undo', { headers: { 'sagaz-role': 'compensation' } }),
    );
    await bench.clock.advance(30_000);
    expect(bench.mail).toHaveLength(1);
    expect(bench.mail[0]).toMatchObject({ sagaId: 'saga-1', dedupeKey: 'saga-1:charge' });
    expect(JSON.parse(bench.mail[0]!.data)).toMatchObject({ reason: 'undeliverable' });
    expect(woken).toHaveLength(1);
    expect(bench.published()).toEqual(['saga-1:undo']);
  });

  it('costs its batch-mates nothing when the broker refuses the whole batch for it', async () => {
    const bench = new RelayBench();
    const failed: string[] = [];
    bench.broker.failWith((_message, _at, batch) =>
      batch.some((message) => textOf(message) === 'k7:0') ? rejected() : null,
    );
    await bench.relay({}, { failed: (message) => failed.push(textOf(message)) }).start();
    await bench.write(...Array.from({ length: 32 }, (_, n) => outboxMessage(`k${n}`, 0)));
    await bench.clock.advance(900);
    expect(failed).toEqual(['k7:0']);
    expect(bench.published()).toHaveLength(31);
    // Cut in two again and again, not sent one by one.
    expect(bench.broker.batches.length).toBeLessThan(16);
  });
});
