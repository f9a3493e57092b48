import { HealthIndicatorService } from '@nestjs/terminus';
import type { Broker } from '@sagaz/core';
import { MemoryBroker } from '@sagaz/core/memory';
import { Gate, VirtualClock } from '@sagaz/core/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { BrokerAbsentError } from '../broker/index.js';
import { BrokerState } from '../lifecycle/index.js';
import { brokerIndicator } from './broker-indicator.js';

const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
const refused = Object.assign(new Error('password authentication failed'), { code: '28P01' });

describe('the health of the broker in a process that cannot work without it', () => {
  let clock: VirtualClock;
  let broker: MemoryBroker;
  beforeEach(() => {
    clock = new VirtualClock();
    broker = new MemoryBroker({ clock });
  });

  function indicatorOf(of: Broker, stops = true): () => Promise<unknown> {
    const state = new BrokerState(of, { clock, keepMs: 0, withinMs: 3_000 });
    return async () => {
      const session = new HealthIndicatorService().check('broker');
      const health = clock.until(state.now(), 10_000);
      return brokerIndicator(session, await health, () => stops)['broker'];
    };
  }

  it('forgives a broker that is away for a moment, and says so', async () => {
    const ask = indicatorOf(broker);
    expect(await ask()).toEqual({ status: 'up' });
    broker.setDown(away);
    const forgiven = { status: 'up', message: 'away for a moment: connect ECONNREFUSED' };
    expect(await ask()).toEqual(forgiven);
    await clock.advance(9_000);
    expect(await ask()).toEqual(forgiven);
    await clock.advance(1_000);
    expect(await ask()).toEqual({ status: 'down', message: 'connect ECONNREFUSED' });
    broker.setDown(null);
    expect(await ask()).toEqual({ status: 'up' });
    broker.setDown(away);
    expect(await ask(), 'another outage has its own beginning').toEqual(forgiven);
  });

  it('forgives no refusal, and no broker that the process was never connected to', async () => {
    const ask = indicatorOf(broker);
    broker.setDown(refused);
    expect(await ask()).toMatchObject({ status: 'down' });
    broker.setDown(new BrokerAbsentError('memory', 'away', 1_000, away));
    expect(await ask()).toMatchObject({ status: 'down' });
  });

  it('counts a broker that does not answer from the first question that it left open', async () => {
    const gate = new Gate();
    const answers = broker.health.bind(broker);
    let hangs = true;
    broker.health = async () => {
      if (hangs) await gate.pass();
      return answers();
    };
    const ask = indicatorOf(broker);
    expect(await ask()).toMatchObject({
      status: 'up',
      message: expect.stringMatching(/no answer within 3000 ms/) as unknown,
    });
    await clock.advance(10_000);
    expect(await ask()).toMatchObject({
      status: 'down',
      message: expect.stringMatching(/no answer/) as unknown,
    });
    hangs = false;
    gate.open();
    await clock.settle();
    expect(await ask()).toEqual({ status: 'up' });
  });

  it('is up where the process can do its work without it, however long', async () => {
    const ask = indicatorOf(broker, false);
    broker.setDown(away);
    await clock.advance(3_600_000);
    expect(await ask()).toMatchObject({
      status: 'up',
      message: expect.stringMatching(/nothing here stops without it/) as unknown,
    });
  });
});
