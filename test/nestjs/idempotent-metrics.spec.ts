import { Controller, Module, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { HandlerObservers, Idempotent } from '@sagaz/nestjs';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { SagazTestingModule } from '@sagaz/nestjs/testing';
import { PrometheusModule } from '@willsoto/nestjs-prometheus';
import { register } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KafkaStub } from './kafka-stub.js';

@Controller()
class Billing {
  @Idempotent({ group: 'billing' })
  @EventPattern('legacy.placed')
  placed(@Payload() { fails }: { fails: boolean }): void {
    if (fails) throw new Error('no');
  }

  @Idempotent()
  @EventPattern(['legacy.shipped', 'legacy.lost.*'])
  shipped(): void {
    // It is only counted.
  }
}

@Module({
  imports: [
    PrometheusModule.register(),
    SagazMetricsModule,
    SagazTestingModule.forRoot({ service: 'orders' }),
  ],
  controllers: [Billing],
})
class AppModule {}

/** Samples of the inbox's counters: `name{a="b"}` → value. */
async function counters(): Promise<ReadonlyMap<string, number>> {
  const text = await register.metrics();
  return new Map(
    [...text.matchAll(/^(sagaz_inbox_\w+_total\{.*\}) (\S+)$/gm)].map(
      ([, name = '', value]): [string, number] => [name, Number(value)],
    ),
  );
}

describe('the counters of @Idempotent methods', () => {
  const kafka = new KafkaStub();
  let app: INestApplication;

  // No connectSagaz(): an application may handle messages of Nest's own transports alone.
  beforeAll(async () => {
    register.clear();
    app = await NestFactory.create(AppModule, { logger: false });
    app.connectMicroservice({ strategy: kafka });
    await app.startAllMicroservices();
    await app.init();
  });
  afterAll(() => app.close());

  it('exist at 0 before anything has happened, and no event makes a new one', async () => {
    const before = await counters();
    expect(before.size).toBeGreaterThan(0);
    expect([...before.values()].filter((value) => value > 0)).toEqual([]);
    const deliver = (id: string, fails: boolean): Promise<void> =>
      kafka.deliver('legacy.placed', { fails }, { ce_id: Buffer.from(id) });
    await deliver('1', false);
    await deliver('1', false);
    await expect(deliver('2', true)).rejects.toBeDefined();
    await kafka.deliver('legacy.shipped', {}, { ce_id: Buffer.from('3') });
    // A sender chooses what stands in the place of a wildcard, and makes no series by that.
    for (const pattern of ['legacy.lost.one', 'legacy.lost.two']) {
      app.get(HandlerObservers).foreignEnded({
        group: 'orders',
        pattern,
        declared: undefined,
        outcome: 'failed',
        durationMs: 1,
      });
    }
    const after = await counters();
    expect([...after.keys()]).toEqual([...before.keys()]);
    expect(new Map([...after].filter(([, value]) => value > 0))).toEqual(
      new Map([
        [handled('billing', 'legacy.placed', 'committed'), 1],
        [handled('billing', 'legacy.placed', 'duplicate'), 1],
        [handled('billing', 'legacy.placed', 'failed'), 1],
        [handled('orders', 'legacy.shipped', 'committed'), 1],
        [handled('orders', 'other', 'failed'), 2],
        ['sagaz_inbox_duplicates_total{group="billing",type="legacy.placed"}', 1],
      ]),
    );
  });
});

function handled(group: string, type: string, outcome: string): string {
  return `sagaz_inbox_handled_total{group="${group}",type="${type}",outcome="${outcome}"}`;
}
