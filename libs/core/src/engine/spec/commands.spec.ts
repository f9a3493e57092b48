import { afterEach, describe, expect, it } from 'vitest';
import { HEADERS, type NewMail, type OutboxMessage, type SagaStore } from '../../ports/index.js';
import { EngineBench, Gate, Program, type ProgramOptions } from '../../testing/index.js';
import { order, replyTo } from './commands.fixture.js';

let bench: EngineBench;
afterEach(() => bench.close());

function saga(options: ProgramOptions): Program {
  const program = new Program(options);
  bench = new EngineBench([program]);
  return program;
}

const reply = (
  to: OutboxMessage | undefined,
  status: 'ok' | 'refused' | 'failed',
  body: unknown,
): Promise<NewMail> => replyTo(bench, to, status, body);

describe('a command step', () => {
  it('sends its command with the start of its wait, and costs neither owner nor memory meanwhile', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    expect(bench.sent).toHaveLength(1);
    const [sent] = bench.sent;
    expect(sent).toMatchObject({
      topic: 'inventory',
      type: 'inventory.reserve',
      key: handle.id,
      source: 'bench',
    });
    expect(sent?.headers).toMatchObject({
      [HEADERS.role]: 'command',
      [HEADERS.sagaId]: handle.id,
      [HEADERS.step]: 'reserve',
      [HEADERS.idempotencyKey]: `${handle.id}:reserve`,
      [HEADERS.replyTo]: 'bench.replies',
    });
    expect(
      Date.parse(sent?.headers[HEADERS.expiresAt] ?? '') - bench.clock.date().getTime(),
    ).toBeGreaterThan(50_000);
    expect(engine.sagasHere).toBe(0);
    expect(await bench.sagas.get(handle.id)).toMatchObject({ status: 'waiting', owner: null });
    // The start, and one commit that sends the command and gives the saga back.
    expect(await bench.commits(handle.id)).toBe(2);
  });

  it('takes the reply as its result', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    await reply(bench.sent[0], 'ok', { place: 'shelf 7' });
    expect(await bench.clock.until(handle.result())).toEqual({ place: 'shelf 7' });
  });

  it('takes the first of several replies, and ignores those to a saga that is over', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    await reply(bench.sent[0], 'ok', { place: 'one' });
    await reply(bench.sent[0], 'ok', { place: 'two' });
    expect(await bench.clock.until(handle.result())).toEqual({ place: 'one' });
    await reply(bench.sent[0], 'refused', { reason: 'late' });
    await bench.clock.advance(5_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('completed');
  });

  it('loses no reply that arrives before the saga waits for it', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    // The command is published by the very commit that parks; its reply may be there before the park was answered.
    const stop = bench.clock.after(0, () => undefined);
    stop.cancel();
    for (let at = 0; at < 50 && bench.sent.length === 0; at += 1) await Promise.resolve();
    await bench.clock.settle();
    await reply(bench.sent[0], 'ok', { place: 'early' });
    expect(await bench.clock.until(handle.result())).toEqual({ place: 'early' });
  });

  it('comes back at once for a reply that arrives while the saga is being parked', async () => {
    for (const moment of ['before the commit', 'before its answer'] as const) {
      const program = saga(order);
      const parking = new Gate();
      let sent: OutboxMessage | undefined;
      const engine = await bench.engine({
        settings: { pollMs: 600_000 },
        store: (sagas) => {
          const flush: SagaStore['flush'] = async (moves) => {
            sent ??= moves.flatMap(({ messages }) => messages)[0];
            if (moment === 'before the commit') await parking.pass();
            const answer = await sagas.flush(moves);
            if (moment === 'before its answer') await parking.pass();
            return answer;
          };
          return new Proxy(sagas, {
            get(target, property) {
              if (property === 'flush') return flush;
              const method: unknown = Reflect.get(target, property);
              return typeof method === 'function' ? (method.bind(target) as unknown) : method;
            },
          });
        },
      });
      const handle = await bench.start(engine, program);
      await bench.clock.until(parking.reached);
      await reply(sent, 'ok', { place: 'x' });
      await bench.clock.advance(100);
      parking.open();
      await bench.clock.advance(1_000);
      expect((await bench.sagas.get(handle.id))?.status, moment).toBe('completed');
      await bench.close();
    }
  });

  it('fails at a refusal, which had no effect and needs no undo', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    await reply(bench.sent[0], 'refused', { reason: 'out_of_stock', details: { sku: 'x' } });
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: { cause: { error: { reason: 'out_of_stock', details: { sku: 'x' } } } },
    });
    expect(bench.sent).toHaveLength(1);
  });

  it('undoes a command that failed at its participant: what its handler had done nobody knows', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    await reply(bench.sent[0], 'failed', { reason: 'exhausted' });
    await bench.clock.advance(2_000);
    expect(bench.sent).toHaveLength(2);
    expect(bench.sent[1]?.headers).toMatchObject({
      [HEADERS.role]: 'compensation',
      [HEADERS.idempotencyKey]: `${handle.id}:reserve`,
    });
    expect(bench.sent[1]?.headers[HEADERS.expiresAt]).toBeUndefined();
    await reply(bench.sent[1], 'ok', undefined);
    expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
  });

  it("gives up at the reply timeout, by the store's clock and whoever runs it then, and undoes", async () => {
    const program = saga(order);
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(30_000);
    await bench.clock.until(engine.close());
    const other = await bench.engine();
    await bench.clock.advance(29_000);
    expect(bench.sent).toHaveLength(1);
    await bench.clock.advance(3_000);
    expect(bench.sent).toHaveLength(2);
    expect(await bench.journal(handle.id)).toContain('step_unknown reserve');
    await reply(bench.sent[1], 'ok', undefined);
    expect((await bench.clock.until(other.handle(handle.id).outcome())).status).toBe('compensated');
  });

  it('decides a reply and a timeout that meet one way or the other, and never both', async () => {
    for (let offset = -30; offset <= 30; offset += 3) {
      const program = saga({
        ...order,
        steps: { reserve: { ...order.steps.reserve, replyTimeoutMs: 5_000 } },
      });
      const engine = await bench.engine();
      const handle = await bench.start(engine, program);
      await bench.clock.advance(5_000 + offset);
      await reply(bench.sent[0], 'ok', { place: 'x' });
      await bench.clock.advance(3_000);
      const status = (await bench.sagas.get(handle.id))?.status;
      if (status === 'completed') expect(bench.sent).toHaveLength(1);
      else expect(bench.sent[1]?.headers[HEADERS.role]).toBe('compensation');
      const journal = await bench.journal(handle.id);
      const ends = journal.filter(
        (line) => line === 'step_completed reserve' || line === 'step_unknown reserve',
      );
      expect(ends).toHaveLength(1);
      await bench.close();
    }
  });

  it('sends a compensation again when its reply does not come, and asks for a person in the end', async () => {
    const program = saga({
      steps: {
        reserve: {
          ...order.steps.reserve,
          replyTimeoutMs: 5_000,
          undoRetry: { attempts: 3, backoffMs: 100, factor: 1, maxDelayMs: 100 },
        },
        bad: { dependsOn: ['reserve'], run: () => Promise.reject(new Error('no')) },
      },
    });
    const engine = await bench.engine();
    const handle = await bench.start(engine, program);
    await bench.clock.advance(10);
    await reply(bench.sent[0], 'ok', { place: 'x' });
    const outcome = await bench.clock.until(handle.outcome({ timeout: '1h' }));
    expect(outcome).toMatchObject({ status: 'needs_attention', reason: 'compensation_failed' });
    expect(bench.sent.filter((one) => one.headers[HEADERS.role] === 'compensation')).toHaveLength(
      3,
    );
    await engine.retry(handle.id);
    await bench.clock.advance(2_000);
    await reply(bench.sent.at(-1), 'ok', undefined);
    await bench.clock.advance(2_000);
    expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
  });

  describe('whose compensation failed at its participant', () => {
    const undone: ProgramOptions = {
      steps: {
        reserve: {
          ...order.steps.reserve,
          undoRetry: { attempts: 3, backoffMs: 100, factor: 1, maxDelayMs: 100 },
        },
        bad: { dependsOn: ['reserve'], run: () => Promise.reject(new Error('no')) },
      },
    };
    const undos = (): OutboxMessage[] =>
      bench.sent.filter((one) => one.headers[HEADERS.role] === 'compensation');

    it('counts one attempt for a reply that is delivered again and again', async () => {
      const program = saga(undone);
      const engine = await bench.engine();
      const handle = await bench.start(engine, program);
      await bench.clock.advance(10);
      await reply(bench.sent[0], 'ok', { place: 'x' });
      await bench.clock.advance(1_000);
      const failed = await reply(undos()[0], 'failed', { reason: 'exhausted' });
      await bench.clock.advance(2_000);
      expect(undos()).toHaveLength(2);
      for (let again = 0; again < 3; again += 1) {
        await bench.sagas.putMail([failed]);
        await bench.clock.advance(2_000);
      }
      expect(undos()).toHaveLength(2);
      await reply(undos()[1], 'ok', undefined);
      expect((await bench.clock.until(handle.outcome())).status).toBe('compensated');
    });

    it('is not kept from the success of a later attempt by the failure of an earlier one', async () => {
      const program = saga(undone);
      const engine = await bench.engine();
      const handle = await bench.start(engine, program);
      await bench.clock.advance(10);
      await reply(bench.sent[0], 'ok', { place: 'x' });
      await bench.clock.advance(1_000);
      await reply(undos()[0], 'failed', { reason: 'exhausted' });
      await bench.clock.advance(2_000);
      // Both lie there before anybody looks.
      await bench.clock.until(engine.close());
      await reply(undos()[0], 'failed', { reason: 'exhausted' });
      await reply(undos()[1], 'ok', undefined);
      await bench.engine();
      await bench.clock.advance(2_000);
      expect((await bench.sagas.get(handle.id))?.status).toBe('compensated');
      expect(undos()).toHaveLength(2);
    });
  });

  it('waits with thousands of others at no cost: none of them stands in memory', async () => {
    const program = saga(order);
    const engine = await bench.engine();
    await Promise.all(Array.from({ length: 2_000 }, () => bench.start(engine, program)));
    await bench.clock.advance(100);
    expect(engine.sagasHere).toBe(0);
    expect(bench.sent).toHaveLength(2_000);
  });
});
