import { describe, expect, it } from 'vitest';
import {
  Compensate,
  DuplicateSagaError,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  StepResult,
} from '../saga/index.js';
import { NonRetryableError } from '../errors/index.js';
import { EngineBench, Program } from '../testing/index.js';
import { InvalidEngineSettingError } from './index.js';

interface Order {
  readonly id: string;
  readonly fail?: boolean;
}

const calls: string[] = [];

@Saga({ name: 'place-order', version: 1, output: 'confirm' })
class PlaceOrder extends SagaOf<Order, string> {
  @SagaStep()
  reserve(@SagaInput() order: Order): string {
    calls.push(`reserve ${order.id}`);
    return `reserved ${order.id}`;
  }

  @Compensate('reserve')
  release(@SagaInput() order: Order): void {
    calls.push(`release ${order.id}`);
  }

  @SagaStep({ dependsOn: ['reserve'] })
  charge(@StepResult('reserve') reserved: string): string {
    calls.push(`charge ${reserved}`);
    return 'charged';
  }

  @Compensate('charge')
  refund(): void {
    calls.push('refund');
  }

  @SagaStep({ dependsOn: ['charge'] })
  confirm(@SagaInput() order: Order): string {
    if (order.fail === true) throw new NonRetryableError('no confirmation today');
    return `confirmed ${order.id}`;
  }
}

describe('an engine', () => {
  it.each([
    [
      { maxInFlight: 0 },
      'The setting maxInFlight of an engine cannot be 0. Give a whole number from 1 to 2,147,483,647.',
    ],
    [{ pollMs: Number.NaN }, 'The setting pollMs of an engine cannot be NaN.'],
    [{ maxTransactions: '2' }, "The setting maxTransactions of an engine cannot be '2'."],
    [{ maxInFlight: 1.5 }, 'The setting maxInFlight of an engine cannot be 1.5.'],
    [{ pollMs: 2 ** 40 }, 'The setting pollMs of an engine cannot be 1099511627776.'],
    [{ ttlMs: -1 }, 'The setting ttlMs of an engine cannot be -1.'],
    [{ ttlMs: undefined }, 'The setting ttlMs of an engine cannot be undefined.'],
    [
      { shutdownMs: '10s' },
      "The setting shutdownMs of an engine cannot be '10s'. Give a whole number from 0 to 2,147,483,647.",
    ],
    [{ maxInflight: 5 }, "An engine has no setting 'maxInflight'."],
  ])('refuses the settings %j', (settings, message) => {
    const bench = new EngineBench([PlaceOrder]);
    const make = (): unknown => Reflect.apply(bench.idleEngine, bench, [{ settings }]);
    expect(make).toThrow(InvalidEngineSettingError);
    expect(make).toThrow(message);
  });

  it('refuses two definitions for the same sagas', () => {
    const one = new Program({ name: 'twice', steps: { a: {} } });
    const two = new Program({ name: 'twice', steps: { b: {} } });
    expect(() => new EngineBench([one, two]).idleEngine()).toThrow(DuplicateSagaError);
  });

  it('runs a sequential saga to its output', async () => {
    const bench = new EngineBench([PlaceOrder]);
    const engine = await bench.engine();
    calls.length = 0;
    const handle = await engine.start(PlaceOrder, { id: 'o1' });
    expect(await bench.clock.until(handle.result())).toBe('confirmed o1');
    expect(calls).toEqual(['reserve o1', 'charge reserved o1']);
    await bench.close();
  });

  it('undoes in reverse order what was done before the step that failed', async () => {
    const bench = new EngineBench([PlaceOrder]);
    const engine = await bench.engine();
    calls.length = 0;
    const handle = await engine.start(PlaceOrder, { id: 'o2', fail: true });
    const outcome = await bench.clock.until(handle.outcome());
    expect(outcome.status).toBe('compensated');
    expect(calls).toEqual(['reserve o2', 'charge reserved o2', 'refund', 'release o2']);
    await bench.close();
  });

  it('spends n + 1 commits on n steps in a row', async () => {
    const bench = new EngineBench([PlaceOrder]);
    const engine = await bench.engine();
    const handle = await engine.start(PlaceOrder, { id: 'o3' });
    await bench.clock.until(handle.result());
    const transitions = new Set((await engine.history(handle.id)).map((one) => one.transitionId));
    expect(transitions.size).toBe(4);
    await bench.close();
  });
});
