/** The code that every case may use; it stands before the code of the case. */
export const PREAMBLE = `
import { command, defineCommand, defineEvent } from '../messaging/index.js';
import type { PayloadOf, ReplyOf, StandardSchema } from '../messaging/index.js';
import { Compensate, ForwardRecovery, IdempotencyKey, ResultIfAny, Saga, SagaInput, SagaOf, SagaStep, StepContext, StepResult, TransactionManager } from './index.js';
import type { AnySaga, SagaClass, SagaInputOf, SagaOutputOf, StepOutput } from './index.js';
interface Order { readonly id: string; readonly total: number }
interface Reserved { readonly reservation: string }
interface Payment { readonly payment: string; readonly amount: number }
interface Confirmed { readonly orderId: string }
const Reserve = defineCommand<{ orderId: string; note?: string }, Reserved>()('inventory.reserve');
const Release = defineCommand<{ orderId: string }>()('inventory.release');
const OrderConfirmed = defineEvent<{ orderId: string }>()('order.confirmed');
declare function is<A, B extends A>(): B;
declare function start<S extends AnySaga>(saga: SagaClass<S>, input: SagaInputOf<S>): Promise<SagaOutputOf<S>>;
`;

/** A saga with the member to be tested, beside a step with a command and one with a promise. */
export function saga(member: string, options = `name: 'x', output: 'confirm'`): string {
  return `
@Saga({ ${options} })
export class X extends SagaOf<Order, Confirmed> {
  @SagaStep() reserve(@SagaInput() o: Order) { return command(Reserve, { orderId: o.id }); }
  @SagaStep({ dependsOn: ['reserve'] }) async charge(): Promise<Payment> { return { payment: 'p', amount: 1 }; }
  @SagaStep({ dependsOn: ['charge'] }) confirm(): Promise<Confirmed> { throw new Error(); }
  helper = 'no method';
  ${member}
}`;
}
