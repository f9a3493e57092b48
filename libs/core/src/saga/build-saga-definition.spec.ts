import { describe, expect, it } from 'vitest';
import { command, defineCommand } from '../messaging/index.js';
import {
  Compensate,
  IdempotencyKey,
  ResultIfAny,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  StepContext,
  StepResult,
  StepResultMissingError,
  TransactionManager,
  buildSagaDefinition,
  isSagaClass,
  resolveArguments,
} from './index.js';
import type { ArgumentValues, StepMethod } from './index.js';

interface Order {
  readonly id: string;
}
interface Reserved {
  readonly reservation: string;
}
interface Confirmed {
  readonly orderId: string;
}

const ReserveStock = defineCommand<{ orderId: string }, Reserved>()('inventory.reserve');
const ReleaseStock = defineCommand<{ orderId: string }>()('inventory.release');

@Saga({ name: 'place-order', output: 'confirm', deadline: '1h' })
class PlaceOrderSaga extends SagaOf<Order, Confirmed> {
  @SagaStep({ dependsOn: ['charge'], transactional: true })
  async confirm(
    @StepResult('charge') payment: { payment: string },
    @TransactionManager() _manager: unknown,
  ): Promise<Confirmed> {
    return { orderId: payment.payment };
  }

  @SagaStep({ retry: { attempts: 2 } })
  reserve(@SagaInput() order: Order) {
    return command(ReserveStock, { orderId: order.id });
  }

  @Compensate('reserve')
  release(@SagaInput() order: Order, @ResultIfAny('reserve') _reserved?: Reserved) {
    return command(ReleaseStock, { orderId: order.id });
  }

  @SagaStep({ dependsOn: ['reserve'], pivot: true, timeout: '10s' })
  async charge(
    @SagaInput() _order: Order,
    @IdempotencyKey() key: string,
    @StepContext() context: StepContext<PlaceOrderSaga>,
  ) {
    return { payment: key + context.result('reserve').reservation };
  }
}

const definition = buildSagaDefinition(PlaceOrderSaga);
const step = (name: string) => definition.steps.get(name)!;

describe('the definition of a saga', () => {
  it('holds the steps in the order of their dependencies, whatever order they were written in', () => {
    expect([...definition.steps.keys()]).toEqual(['reserve', 'charge', 'confirm']);
    expect(step('reserve').dependents).toEqual(['charge']);
    expect([...step('confirm').ancestors].sort()).toEqual(['charge', 'reserve']);
    expect(step('reserve').compensation?.method).toBe('release');
  });

  it('has a value for every option that was left out', () => {
    expect(definition).toMatchObject({
      name: 'place-order',
      version: 1,
      output: 'confirm',
      connection: undefined,
      deadlineMs: 3_600_000,
      failureStrategy: 'fail-fast',
      maxCrashes: 3,
    });
    expect(step('reserve')).toMatchObject({
      retry: { attempts: 2, backoffMs: 200, factor: 2, maxDelayMs: 30_000, jitter: 0.5 },
      timeoutMs: 15 * 60_000,
      replyTimeoutMs: 15 * 60_000,
      transactional: false,
      pivot: false,
    });
    expect(step('charge')).toMatchObject({
      timeoutMs: 10_000,
      replyTimeoutMs: 10_000,
      pivot: true,
    });
    expect(step('reserve').compensation).toMatchObject({
      retry: { attempts: 12 },
      timeoutMs: 15 * 60_000,
      replyTimeoutMs: 15 * 60_000,
    });
  });

  it('cannot be changed, not even its collections', () => {
    const frozen: readonly object[] = [
      definition,
      step('reserve'),
      step('reserve').retry,
      step('reserve').arguments,
      step('charge').dependsOn,
      step('reserve').compensation!,
    ];
    for (const part of frozen) expect(Object.isFrozen(part)).toBe(true);
    const steps = definition.steps as Map<string, unknown>;
    expect(() => steps.delete('reserve')).toThrow('A saga definition never changes.');
    expect(() => (step('confirm').ancestors as Set<string>).add('x')).toThrow(TypeError);
  });

  it('is inherited from base classes, where a subclass replaces what it decorates itself', () => {
    abstract class Base extends SagaOf<Order> {
      @SagaStep()
      first(@SagaInput() _order: Order): void {}

      @SagaStep({ dependsOn: ['first'] })
      second(@SagaInput() _order: Order): void {}
    }
    @Saga({ name: 'derived' })
    class Derived extends Base {
      @SagaStep({ dependsOn: ['first'], pivot: true })
      override second(): void {}

      @SagaStep({ dependsOn: ['second'] })
      third(): void {}
    }
    @Saga({ name: 'sibling' })
    class Sibling extends Base {}

    const derived = buildSagaDefinition(Derived);
    expect([...derived.steps.keys()]).toEqual(['first', 'second', 'third']);
    expect(derived.steps.get('second')).toMatchObject({ pivot: true, arguments: [] });
    const sibling = buildSagaDefinition(Sibling);
    expect([...sibling.steps.keys()]).toEqual(['first', 'second']);
    expect(sibling.steps.get('second')).toMatchObject({
      pivot: false,
      arguments: [{ kind: 'input' }],
    });
    expect([isSagaClass(Base), isSagaClass(Sibling)]).toEqual([false, true]);
  });

  it('does not depend on decorators that put another function in the place of the method', () => {
    const Wrapped: MethodDecorator = (_target, _key, descriptor) => {
      Object.defineProperty(descriptor, 'value', { value: () => undefined });
    };
    @Saga({ name: 'wrapped' })
    class WrappedSaga extends SagaOf<Order> {
      @Wrapped
      @SagaStep()
      inner(@SagaInput() _order: Order): void {}

      @SagaStep({ dependsOn: ['inner'] })
      @Wrapped
      outer(@SagaInput() _order: Order): void {}
    }
    const wrapped = buildSagaDefinition(WrappedSaga);
    expect(wrapped.steps.get('inner')?.arguments).toEqual([{ kind: 'input' }]);
    expect(wrapped.steps.get('outer')?.arguments).toEqual([{ kind: 'input' }]);
  });

  it('is found by another installed copy of the package', () => {
    expect(Object.getOwnPropertySymbols(PlaceOrderSaga).map(Symbol.keyFor).sort()).toEqual([
      'sagaz.saga.methods',
      'sagaz.saga.options',
    ]);
  });
});

describe('the arguments of a step', () => {
  const values = (results: readonly (readonly [string, unknown])[]): ArgumentValues => ({
    input: { id: 'o1' },
    results: new Map(results),
    context: {
      sagaId: 's1',
      saga: 'place-order',
      step: 'charge',
      attempt: 1,
      idempotencyKey: 's1:charge',
      signal: new AbortController().signal,
      deadline: null,
      result: () => {
        throw new Error('not asked for');
      },
    },
    transactionManager: 'manager',
  });
  const resolved = (method: StepMethod, given: ArgumentValues) => resolveArguments(method, given);

  it('come from input, results, key, context and transaction, by position', () => {
    const given = values([['charge', { payment: 'p' }]]);
    expect(resolved(step('charge'), given)).toEqual([{ id: 'o1' }, 's1:charge', given.context]);
    expect(resolved(step('confirm'), given)).toEqual([{ payment: 'p' }, 'manager']);
  });

  it('of a compensation are undefined where there is no result', () => {
    expect(resolved(step('reserve').compensation!, values([]))).toEqual([{ id: 'o1' }, undefined]);
  });

  it('are never made up: a missing result is an error, a result that is undefined is not', () => {
    expect(() => resolved(step('confirm'), values([]))).toThrow(StepResultMissingError);
    expect(resolved(step('confirm'), values([['charge', undefined]]))).toEqual([
      undefined,
      'manager',
    ]);
  });
});
