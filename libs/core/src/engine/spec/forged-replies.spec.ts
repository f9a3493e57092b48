import { afterEach, describe, expect, it } from 'vitest';
import { newId } from '../../ids.js';
import { command, defineCommand } from '../../messaging/index.js';
import { HEADERS, type OutboxMessage } from '../../ports/index.js';
import { EngineBench, Program, type ProgramOptions } from '../../testing/index.js';
import { undeliveredMail, untrustedMail, type IgnoredReply } from '../index.js';
import { order, replyTo } from './commands.fixture.js';
import { factHandlers } from '../facts/index.js';

let bench: EngineBench;
afterEach(() => bench.close());

const Charge = defineCommand<{ sku: string }, { place: string }>()('payment.charge', {
  handledBy: 'payments',
});
const Refund = defineCommand<{ sku: string }>()('payment.refund', { handledBy: 'payments' });

/** The same step, and its contracts say who answers. */
const charged = {
  output: 'reserve',
  steps: {
    reserve: {
      ...order.steps.reserve,
      retry: { attempts: 3, backoffMs: 100, factor: 1, maxDelayMs: 100 },
      run: () => command(Charge, { sku: 'x' }),
      undo: () => command(Refund, { sku: 'x' }),
    },
  },
} satisfies ProgramOptions;

async function started(options: ProgramOptions) {
  const program = new Program(options);
  bench = new EngineBench([program]);
  const counted: IgnoredReply[] = [];
  const listener = factHandlers({ reply_ignored: ({ reason }) => counted.push(reason) });
  const engine = await bench.engine({ listener });
  const handle = await bench.start(engine, program);
  await bench.clock.advance(100);
  const [sent] = bench.sent;
  if (sent === undefined) throw new Error('No command was sent.');
  const ignored = async (): Promise<string[]> => {
    await bench.clock.advance(1_000);
    const history = await bench.sagas.history(handle.id);
    return history.flatMap(({ kind, data }) => (kind === 'mail_ignored' ? [data ?? ''] : []));
  };
  return { engine, handle, sent, ignored, counted };
}

describe('a reply to a command', () => {
  it.each([
    ['no message', null],
    ['a message that nobody sent', newId()],
  ] as const)('does not count where it names %s, however right the rest is', async (_, answers) => {
    const { handle, sent, ignored } = await started(order);
    for (const status of ['ok', 'refused', 'failed'] as const) {
      await replyTo(bench, sent, status, { place: 'forged', reason: 'x' }, { answers });
      expect((await ignored()).at(-1)).toContain('it names no command that was sent for this step');
      expect((await bench.sagas.get(handle.id))?.status).toBe('waiting');
    }
    await replyTo(bench, sent, 'ok', { place: 'real' });
    expect(await bench.clock.until(handle.result())).toEqual({ place: 'real' });
  });

  it('does not count where it names the command of another saga', async () => {
    const program = new Program(order);
    bench = new EngineBench([program]);
    const engine = await bench.engine();
    const handles = [await bench.start(engine, program), await bench.start(engine, program)];
    await bench.clock.advance(100);
    const [one, two] = bench.sent;
    await replyTo(bench, one, 'ok', { place: 'forged' }, { answers: two?.id ?? '' });
    await bench.clock.advance(1_000);
    for (const { id } of handles) expect((await bench.sagas.get(id))?.status).toBe('waiting');
  });

  it.each(['ok', 'refused', 'failed'] as const)(
    'does not count as "%s" from a service that does not handle the command',
    async (status) => {
      const { handle, sent, ignored } = await started(charged);
      const forged = { place: 'forged', reason: 'x' };
      await replyTo(bench, sent, status, forged, { source: 'reports' });
      expect((await ignored()).at(-1)).toContain("it comes from 'reports', and 'payments' handles");
      expect((await bench.sagas.get(handle.id))?.status).toBe('waiting');
      await replyTo(bench, sent, 'ok', { place: 'real' }, { source: 'payments' });
      expect(await bench.clock.until(handle.result())).toEqual({ place: 'real' });
    },
  );

  it('is not kept out by a forged one that lies there before it', async () => {
    const { engine, handle, sent } = await started(charged);
    await bench.clock.until(engine.close());
    await replyTo(bench, sent, 'refused', { reason: 'forged' }, { source: 'reports' });
    await replyTo(bench, sent, 'ok', { place: 'real' }, { source: 'payments' });
    await bench.engine();
    await bench.clock.advance(2_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });

  it('counts from the relay of its own database where the command never reached a broker', async () => {
    const { handle, sent, ignored } = await started(charged);
    const failure: OutboxMessage = {
      ...sent,
      id: newId(),
      type: 'sagaz.reply',
      payload: new TextEncoder().encode('{"reason":"undeliverable"}'),
      headers: {
        ...sent.headers,
        [HEADERS.replyStatus]: 'failed',
        [HEADERS.repliesTo]: 'command',
        [HEADERS.causationId]: sent.id,
      },
    };
    await bench.sagas.putMail([undeliveredMail(failure)]);
    bench.wakeUps.hint('saga');
    expect(await ignored()).toEqual([]);
    expect((await bench.sagas.get(handle.id))?.status).not.toBe('waiting');
  });

  it.each([
    ['unsigned', 'it is not signed'],
    ['bad_signature', 'its signature is that of another message'],
  ] as const)(
    'does not count where it is %s, and keeps out no true one',
    async (reason, problem) => {
      const { handle, sent, ignored, counted } = await started(charged);
      const forged = { ...sent, id: newId(), source: 'payments' };
      await bench.sagas.putMail([
        untrustedMail(forged, { reason, problem }),
        untrustedMail({ ...forged, id: newId() }, { reason, problem }),
      ]);
      bench.wakeUps.hint('saga');
      expect(await ignored()).toEqual([expect.stringContaining(problem)]);
      expect(counted).toEqual([reason]);
      expect((await bench.sagas.get(handle.id))?.status).toBe('waiting');
      await replyTo(bench, sent, 'ok', { place: 'real' }, { source: 'payments' });
      expect(await bench.clock.until(handle.result())).toEqual({ place: 'real' });
    },
  );

  it('is counted by the reason for which it does not count', async () => {
    const { handle, sent, ignored, counted } = await started(charged);
    await replyTo(bench, sent, 'ok', {}, { answers: newId(), source: 'payments' });
    await ignored();
    await replyTo(bench, sent, 'ok', {}, { source: 'reports' });
    await ignored();
    await bench.sagas.putMail([
      { sagaId: handle.id, kind: 'reply', dedupeKey: 'x', data: '"no reply"' },
    ]);
    bench.wakeUps.hint('saga');
    await ignored();
    await replyTo(bench, sent, 'ok', { place: 'real' }, { source: 'payments' });
    expect(await bench.clock.until(handle.result())).toEqual({ place: 'real' });
    expect(counted).toEqual(['unknown_command', 'wrong_source', 'unreadable']);
  });
});
