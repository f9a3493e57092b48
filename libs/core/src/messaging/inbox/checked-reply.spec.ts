import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { HEADERS, type Message } from '../../ports/index.js';
import { jsonCodec } from '../codec/index.js';
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
    ['of a command without a schema here', 7, { [HEADERS.commandType]: 'hall.sweep' }],
    ['that is no JSON, which its saga sees', Buffer.from('{'), {}],
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
});
