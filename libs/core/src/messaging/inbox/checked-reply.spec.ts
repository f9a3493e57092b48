import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { HEADERS, type Message } from '../../ports/index.js';
import { jsonCodec } from '../codec/index.js';
import { linesCodec, type Lines } from '../codec/lines-codec.fixture.js';
import { defineCommand } from '../contract/index.js';
import { checkedReply } from './checked-reply.js';
import { outboxMessage } from '../../testing/index.js';

describe('a reply that arrives', () => {
  defineCommand<object, { at: string; seats: { row: number }[] }>()('hall.book', {
    reply: z.object({
      at: z.string().trim(),
      seats: z.array(z.object({ row: z.number() })),
    }),
  });

  const reply = (value: unknown, headers: Record<string, string> = {}): Message => ({
    ...outboxMessage('saga', 1, { topic: 'hall.replies' }),
    contentType: 'application/json',
    payload: value instanceof Uint8Array ? value : jsonCodec.encode(value),
    headers: {
      [HEADERS.replyStatus]: 'ok',
      [HEADERS.repliesTo]: 'command',
      [HEADERS.commandType]: 'hall.book',
      [HEADERS.sagaId]: 'saga',
      ...headers,
    },
  });

  it('is left as it is where it matches, also by a schema that would transform it', async () => {
    const fitting = reply({ at: ' noon ', seats: [{ row: 1 }], more: true });
    expect(await checkedReply(fitting)).toBe(fitting);
  });

  it('becomes a failure that names the path where it does not', async () => {
    const unfit = reply({ at: 'noon', seats: [{ row: 1 }, { row: 'two' }] });
    const checked = await checkedReply(unfit);
    expect(checked).toMatchObject({ id: unfit.id, headers: { [HEADERS.replyStatus]: 'failed' } });
    expect(checked.headers).toMatchObject({ [HEADERS.sagaId]: 'saga' });
    expect(jsonCodec.decode(checked.payload)).toMatchObject({
      reason: 'invalid_reply',
      details: {
        error: expect.stringMatching(/^The reply of 'hall\.book' .*: seats\.1\.row: /),
      },
    });
  });

  it('becomes one where it is empty and something is expected', async () => {
    const checked = await checkedReply(reply(new Uint8Array()));
    expect(checked.headers[HEADERS.replyStatus]).toBe('failed');
  });

  it.each<[string, unknown, Record<string, string>]>([
    ['a refusal', { reason: 'sold_out' }, { [HEADERS.replyStatus]: 'refused' }],
    ['of a compensation', null, { [HEADERS.repliesTo]: 'compensation' }],
    ['that names no command', 7, { [HEADERS.commandType]: 'hall.none' }],
    ['of a command without a schema here', 7, { [HEADERS.commandType]: 'hall.sweep' }],
  ])('is left as it is: %s', async (_, value, headers) => {
    const other = reply(value, headers);
    expect(await checkedReply(other)).toBe(other);
  });

  it('is enough for one of several contracts of its type', async () => {
    const type = 'hall.measure';
    defineCommand<object, unknown>()(type, { reply: z.object({ metres: z.number() }) });
    defineCommand<object, unknown>()(type, { reply: z.object({ feet: z.number() }) });
    const header = { [HEADERS.commandType]: type };
    const feet = reply({ feet: 3 }, header);
    expect(await checkedReply(feet)).toBe(feet);
    const neither = await checkedReply(reply({ yards: 1 }, header));
    expect(neither.headers[HEADERS.replyStatus]).toBe('failed');
  });

  it('is not judged by a schema that fails, unless another contract accepts it', async () => {
    const type = 'hall.weigh';
    const header = { [HEADERS.commandType]: type };
    const failing = z.object({ kilos: z.number() }).superRefine(() => {
      throw new Error('The price list cannot be read.');
    });
    defineCommand<object, unknown>()(type, { reply: failing });
    await expect(checkedReply(reply({ kilos: 3 }, header))).rejects.toThrow('price list');
    defineCommand<object, unknown>()(type, { reply: z.object({ pounds: z.number() }) });
    const pounds = reply({ pounds: 3, kilos: 1 }, header);
    expect(await checkedReply(pounds)).toBe(pounds);
  });

  it('may be plain JSON beside a contract with another codec, and not beside one with a schema', async () => {
    const type = 'hall.name';
    const header = { [HEADERS.commandType]: type };
    defineCommand<object, Lines>()(type, { replyCodec: linesCodec });
    defineCommand<object, unknown>()(type);
    const plain = reply({ any: 'thing' }, header);
    expect(await checkedReply(plain)).toBe(plain);
    defineCommand<object, unknown>()(type, { reply: z.object({ name: z.string() }) });
    expect((await checkedReply(plain)).headers[HEADERS.replyStatus]).toBe('failed');
  });

  it.each([
    [
      'that is no JSON',
      { payload: Buffer.from('{') },
      'The payload is not valid application/json.',
    ],
    [
      'of another content type, though its bytes are JSON',
      { contentType: 'text/plain' },
      "The reply of 'hall.sweep' has the content type 'text/plain', which",
    ],
  ])('becomes a failure: one %s', async (_, given, problem) => {
    const odd = { ...reply(7, { [HEADERS.commandType]: 'hall.sweep' }), ...given };
    const checked = await checkedReply(odd);
    expect(checked.headers[HEADERS.replyStatus]).toBe('failed');
    expect(jsonCodec.decode(checked.payload)).toMatchObject({
      reason: 'invalid_reply',
      details: { error: expect.stringContaining(problem) },
    });
  });

  describe('in the format of its own codec', () => {
    const type = 'hall.list';
    defineCommand<object, Lines>()(type, {
      replyCodec: linesCodec,
      reply: z.object({ lines: z.array(z.string().max(3)) }),
    });
    const lines = (text: string, headers: Record<string, string> = {}): Message => ({
      ...reply(Buffer.from(text), { [HEADERS.commandType]: type, ...headers }),
      contentType: 'text/x-lines',
    });

    it('is read by it, and goes on as the JSON that its saga keeps', async () => {
      const read = await checkedReply(lines('a\nb\n'));
      expect(read).toMatchObject({ contentType: 'application/json' });
      expect(jsonCodec.decode(read.payload)).toEqual({ lines: ['a', 'b'] });
    });

    it.each([
      ['does not match its schema', lines('long\n'), 'lines.0: '],
      ['cannot be read', lines('a'), 'The payload is not valid text/x-lines.'],
      ['is of another content type', reply({ lines: [] }, { [HEADERS.commandType]: type }), 'JSON'],
    ])('becomes a failure where it %s', async (_, bad, problem) => {
      const checked = await checkedReply(bad);
      expect(checked).toMatchObject({ contentType: 'application/json' });
      expect(checked.headers[HEADERS.replyStatus]).toBe('failed');
      expect(Buffer.from(checked.payload).toString().toLowerCase()).toContain(
        problem.toLowerCase(),
      );
    });

    it('becomes a failure where JSON cannot hold its value', async () => {
      const big = { contentType: 'text/x-big', encode: () => Buffer.of(), decode: () => 7n };
      defineCommand()('hall.count', { replyCodec: big });
      const count = { ...reply(1, { [HEADERS.commandType]: 'hall.count' }) };
      const checked = await checkedReply({ ...count, contentType: 'text/x-big' });
      expect(Buffer.from(checked.payload).toString()).toContain('the bigint 7n');
    });

    it('leaves a compensation done, whatever its body is', async () => {
      const undone = { [HEADERS.repliesTo]: 'compensation' };
      for (const text of ['a', 'long\n']) {
        const read = await checkedReply(lines(text, undone));
        expect(read.headers[HEADERS.replyStatus]).toBe('ok');
        expect(read.contentType).toBe('application/json');
      }
      const unread = await checkedReply(lines('a', undone));
      expect(unread.payload.byteLength).toBe(0);
    });
  });
});
