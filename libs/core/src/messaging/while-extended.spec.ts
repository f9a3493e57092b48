import { describe, expect, it } from 'vitest';
import type { Delivery, DeliveryExtension, Logger } from '../ports/index.js';
import { Gate, VirtualClock, outboxMessage } from '../testing/index.js';
import { whileExtended } from './while-extended.js';

function deliveryOf(
  extension?: DeliveryExtension,
  signal = new AbortController().signal,
): Delivery {
  return {
    message: outboxMessage('k', 1),
    group: 'billing',
    attempt: 1,
    signal,
    ...(extension === undefined ? {} : { extension }),
  };
}

describe('work on a delivery that has to be extended', () => {
  const lines: string[] = [];
  const say = (line: string): void => void lines.push(line);
  const logger: Logger = { debug: say, info: say, warn: say, error: say };

  it('is extended until it ends, one extension at a time, and no longer', async () => {
    const clock = new VirtualClock();
    const gate = new Gate();
    const answer = new Gate();
    let asked = 0;
    const extend = async (): Promise<void> => {
      asked += 1;
      if (asked === 3) await answer.pass();
    };
    const work = whileExtended(
      deliveryOf({ everyMs: 1_000, extend }),
      async () => {
        await gate.pass();
        return 'done';
      },
      { clock, logger },
    );
    await clock.advance(2_500);
    expect(asked).toBe(2);
    await clock.advance(60_000);
    expect(asked, 'the third is not answered').toBe(3);
    answer.open();
    await clock.advance(1_500);
    expect(asked).toBe(4);
    gate.open();
    expect(await work).toBe('done');
    await clock.advance(60_000);
    expect(asked).toBe(4);
    expect(clock.pending).toBe(0);
  });

  it('goes on when an extension fails, which is logged, counted and tried again', async () => {
    const clock = new VirtualClock();
    const gate = new Gate();
    const failures: unknown[] = [];
    let asked = 0;
    const delivery = deliveryOf({
      everyMs: 1_000,
      extend: async () => {
        asked += 1;
        if (asked < 3) throw new Error(`away ${asked}`);
      },
    });
    const work = whileExtended(
      delivery,
      async () => {
        await gate.pass();
        return 7;
      },
      { clock, logger, onFailure: (of, error) => failures.push([of, error]) },
    );
    await clock.advance(5_000);
    expect(asked).toBe(5);
    expect(failures).toEqual([
      [delivery, new Error('away 1')],
      [delivery, new Error('away 2')],
    ]);
    expect(lines.filter((line) => line.includes('could not be extended'))).toHaveLength(2);
    expect(delivery.signal.aborted).toBe(false);
    gate.open();
    expect(await work).toBe(7);
  });

  it('is not extended once the message is lost, nor where no extension is needed', async () => {
    const clock = new VirtualClock();
    const gate = new Gate();
    const abort = new AbortController();
    let asked = 0;
    const extension = { everyMs: 1_000, extend: async () => void (asked += 1) };
    const options = { clock, logger };
    const lost = whileExtended(deliveryOf(extension, abort.signal), () => gate.pass(), options);
    await clock.advance(1_000);
    abort.abort(new Error('lost'));
    await clock.advance(60_000);
    expect(asked).toBe(1);
    gate.open();
    await lost;
    const error = new Error('the work fails');
    await expect(whileExtended(deliveryOf(), () => Promise.reject(error), options)).rejects.toBe(
      error,
    );
    expect(clock.pending).toBe(0);
  });
});
