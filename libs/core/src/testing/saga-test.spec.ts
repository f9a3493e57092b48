import { describe, expect, it } from 'vitest';
import { SagaRefusal } from '../errors/index.js';
import { command, defineCommand } from '../messaging/index.js';
import { Compensate, Saga, SagaInput, SagaOf, SagaStep, StepResult } from '../saga/index.js';
import { sagaTest } from './saga-test.js';
import { UnansweredCommandError } from './unanswered-command.error.js';

const Reserve = defineCommand<{ sku: string }, { shelf: number }>()('inventory.reserve');
const Release = defineCommand<{ sku: string }>()('inventory.release');

@Saga({ name: 'tested-order', version: 1, output: 'charge' })
class OrderSaga extends SagaOf<{ sku: string }, string> {
  constructor(readonly pay: (amount: number) => string = () => 'paid') {
    super();
  }

  @SagaStep()
  reserve(@SagaInput() order: { sku: string }) {
    return command(Reserve, { sku: order.sku });
  }

  @Compensate('reserve')
  release(@SagaInput() order: { sku: string }) {
    return command(Release, { sku: order.sku });
  }

  @SagaStep({ dependsOn: ['reserve'], retry: { attempts: 3 } })
  charge(@StepResult('reserve') place: { shelf: number }): string {
    return this.pay(place.shelf);
  }
}

describe('a saga under test', () => {
  it('runs with test doubles and answered commands', async () => {
    const { outcome, sent } = await sagaTest(OrderSaga)
      .provide(new OrderSaga((amount) => `paid ${amount}`))
      .reply(Reserve, ({ sku }) => ({ shelf: sku.length }))
      .run({ sku: 'abc' });
    expect(outcome).toEqual({ status: 'completed', output: 'paid 3' });
    expect(sent.map(({ type }) => type)).toEqual(['inventory.reserve']);
  });

  it('fails as often as it is told, and is undone when that is too often', async () => {
    const test = (times: number) =>
      sagaTest(OrderSaga)
        .reply(Reserve, () => ({ shelf: 1 }))
        .reply(Release, () => undefined)
        .fail('charge', times)
        .run({ sku: 'a' });
    expect((await test(2)).outcome.status).toBe('completed');
    const { outcome, journal } = await test(3);
    expect(outcome.status).toBe('compensated');
    expect(journal).toContain('compensation_completed reserve');
  });

  it('is refused by a participant that says no', async () => {
    const { outcome } = await sagaTest(OrderSaga)
      .reply(Reserve, () => {
        throw new SagaRefusal('out_of_stock');
      })
      .run({ sku: 'a' });
    expect(outcome).toMatchObject({
      status: 'compensated',
      failure: { cause: { error: { reason: 'out_of_stock' } } },
    });
  });

  it('names a command that nobody answers, and the step that sent it', async () => {
    await expect(sagaTest(OrderSaga).run({ sku: 'a' })).rejects.toThrow(
      "Nobody answers the command 'inventory.reserve' that 'reserve' sent.",
    );
    await expect(sagaTest(OrderSaga).run({ sku: 'a' })).rejects.toBeInstanceOf(
      UnansweredCommandError,
    );
  });

  it('leaves a command unanswered where that is what the test is about', async () => {
    const { outcome, tookMs } = await sagaTest(OrderSaga)
      .leaveUnanswered(Reserve)
      .reply(Release, () => undefined)
      .run({ sku: 'a' });
    expect(outcome.status).toBe('compensated');
    expect(tookMs).toBeGreaterThanOrEqual(15 * 60_000);
  });

  it('fails compensations as often as it is told', async () => {
    const test = (times: number) =>
      sagaTest(OrderSaga)
        .reply(Reserve, () => ({ shelf: 1 }))
        .reply(Release, () => undefined)
        .fail('charge', 3)
        .failCompensation('reserve', times)
        .run({ sku: 'a' });
    expect((await test(1)).outcome.status).toBe('compensated');
    expect((await test(1_000)).outcome.status).toBe('needs_attention');
  });

  it('says which step has nothing that could fail', () => {
    expect(() => sagaTest(OrderSaga).failCompensation('charge')).toThrow(
      "tested-order has no compensation of 'charge'. Its steps are: reserve, charge.",
    );
  });

  it('waits for a method that waits in the time of the host', async () => {
    @Saga({ name: 'waiting', version: 1, output: 'read' })
    class WaitingSaga extends SagaOf<object, string> {
      @SagaStep({ timeout: '1s' })
      async read(): Promise<string> {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return 'read';
      }
    }
    const { outcome } = await sagaTest(WaitingSaga).run({});
    expect(outcome).toEqual({ status: 'completed', output: 'read' });
  });

  it('lets a method that hangs reach its timeout in virtual time', async () => {
    @Saga({ name: 'hanging', version: 1 })
    class HangingSaga extends SagaOf<object> {
      @SagaStep({ timeout: '10m', retry: { attempts: 1 } })
      hang(): Promise<void> {
        return new Promise(() => undefined);
      }
    }
    const { outcome } = await sagaTest(HangingSaga).run({});
    expect(outcome.status).toBe('compensated');
  });

  it('survives the death of its process at any point of a step', async () => {
    for (const point of [
      'claim.after-commit',
      'step.before-invoke',
      'step.after-invoke',
      'transition.before-flush',
      'transition.after-flush',
    ] as const) {
      const { outcome } = await sagaTest(OrderSaga)
        .reply(Reserve, () => ({ shelf: 1 }))
        .crashAt(point)
        .run({ sku: 'a' });
      expect(outcome, point).toEqual({ status: 'completed', output: 'paid' });
    }
  });
});
