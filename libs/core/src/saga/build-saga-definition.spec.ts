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
  buildSagaDefinition,
} from './index.js';

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
  @SagaStep()
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

  @SagaStep({ dependsOn: ['charge'], transactional: true })
  async confirm(@StepResult('charge') payment: { payment: string }): Promise<Confirmed> {
    return { orderId: payment.payment };
  }
}

describe('the definition of a saga', () => {
  it('holds the steps in the order of their dependencies, with where their arguments come from', () => {
    const definition = buildSagaDefinition(PlaceOrderSaga);
    expect([...definition.steps.keys()]).toEqual(['reserve', 'charge', 'confirm']);
    expect(definition).toMatchObject({ name: 'place-order', version: 1, deadlineMs: 3_600_000 });
    expect(definition.steps.get('charge')).toMatchObject({
      arguments: [{ kind: 'input' }, { kind: 'idempotency_key' }, { kind: 'context' }],
      timeoutMs: 10_000,
      pivot: true,
    });
    expect(definition.steps.get('reserve')?.compensation?.method).toBe('release');
    expect([...(definition.steps.get('confirm')?.ancestors ?? [])].sort()).toEqual([
      'charge',
      'reserve',
    ]);
  });
});
