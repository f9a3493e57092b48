import { asNestGenerates, compile } from '@sagaz/test-support/compile';
import { beforeAll, describe, expect, it } from 'vitest';
import { PREAMBLE, saga } from './compile.fixture.js';

const ENTITY = `class Entity { id = ''; confirm(): void {} }`;

const refused: (readonly [promise: string, source: string, message: string])[] = [
  [
    'a step depends on a method that is not there',
    saga(`@SagaStep({ dependsOn: ['reserv'] }) a() {}`),
    `Property 'reserv' is missing in type 'X'`,
  ],
  [
    'a step depends on what is no method',
    saga(`@SagaStep({ dependsOn: ['helper'] }) a() {}`),
    `Types of property 'helper' are incompatible`,
  ],
  [
    'a step depends on itself',
    saga(`@SagaStep({ dependsOn: ['reserve', 'a'] }) a() {}`),
    'a step cannot depend on itself',
  ],
  [
    'a compensation undoes a step that is not there',
    saga(`@Compensate('reserv') a() {}`),
    `Property 'reserv' is missing in type 'X'`,
  ],
  [
    'a step is its own compensation',
    saga(`@Compensate('a') a() {}`),
    'a step cannot compensate itself',
  ],
  [
    'a result is taken from a step that is not there',
    saga(`@SagaStep() a(@StepResult('chargee') p: Payment) {}`),
    `Property 'chargee' is missing in type 'X'`,
  ],
  [
    'the result of a promise does not fit the parameter',
    saga(`@SagaStep() a(@StepResult('charge') p: Reserved) {}`),
    `the result of step 'charge' does not fit this parameter`,
  ],
  [
    'the reply of a command does not fit the parameter',
    saga(`@SagaStep() a(@SagaInput() o: Order, @StepResult('reserve') r: Payment) {}`),
    `the result of step 'reserve' does not fit this parameter`,
  ],
  [
    'a result that may be missing is taken for certain',
    saga(`@Compensate('reserve') a(@ResultIfAny('reserve') r: Reserved) {}`),
    `step 'reserve' may have no result: this parameter must admit undefined`,
  ],
  [
    'a result that may be missing does not fit the parameter',
    saga(`@Compensate('reserve') a(@ResultIfAny('reserve') r?: Payment) {}`),
    `the result of step 'reserve' does not fit this parameter`,
  ],
  [
    'the input does not fit the parameter',
    saga(`@SagaStep() a(@SagaInput() o: Payment) {}`),
    'the input of the saga does not fit this parameter',
  ],
  [
    'the idempotency key is taken for a number',
    saga(`@SagaStep() a(@IdempotencyKey() k: number) {}`),
    'the idempotency key is a string',
  ],
  [
    'the context is taken for something else',
    saga(`@SagaStep() a(@StepContext() c: string) {}`),
    'the context of a step is a StepContext of this saga',
  ],
  [
    'the context is asked for the result of a step that is not there',
    saga(`@SagaStep() a(@StepContext() c: StepContext<X>): void { c.result('chargee'); }`),
    `Argument of type '"chargee"' is not assignable to parameter of type`,
  ],
  [
    'the result from the context is used as another type',
    saga(
      `@SagaStep() a(@StepContext() c: StepContext<X>): number { return c.result('charge').payment; }`,
    ),
    `Type 'string' is not assignable to type 'number'`,
  ],
  [
    'the output names a step that is not there',
    saga('', `name: 'x', output: 'confirmed'`),
    `the output 'confirmed' is no step of this saga`,
  ],
  [
    'the output names a step with another result',
    saga('', `name: 'x', output: 'charge'`),
    `the result of step 'charge' is not the output of this saga`,
  ],
  [
    'a saga with an output says of no step that it yields it',
    saga('', `name: 'x'`),
    'this saga has an output: name the step that yields it',
  ],
  [
    'a class is a saga without saying of what',
    `@Saga({ name: 'x' }) export class X { @SagaStep() a() {} }`,
    'a saga class extends SagaOf<Input, Output>',
  ],
  [
    'a forward recovery returns what cannot stand in for the result',
    saga(`@ForwardRecovery('charge') a(): Reserved { throw new Error(); }`),
    `what this returns cannot stand in for the result of step 'charge'`,
  ],
  [
    'a duration has a unit nobody knows',
    saga(`@SagaStep({ timeout: '5 parsecs' }) a() {}`),
    `Type '"5 parsecs"' is not assignable to type 'TimeLimit | undefined'`,
  ],
  [
    'a step has an option that does not exist',
    saga(`@SagaStep({ retries: 3 }) a() {}`),
    `'retries' does not exist in type`,
  ],
  [
    'a saga is started with another input',
    saga('') + `start(X, { id: 1, total: 2 });`,
    `Type 'number' is not assignable to type 'string'`,
  ],
  [
    'a class that is no saga is started',
    `class Y { a() {} } start(Y, {});`,
    `is not assignable to parameter of type 'SagaClass<AnySaga>'`,
  ],
  [
    'a command lacks part of its payload',
    `export const c = command(Reserve, {});`,
    `Property 'orderId' is missing`,
  ],
  [
    'a command has a payload of the wrong type',
    `export const c = command(Reserve, { orderId: 1 });`,
    `Type 'number' is not assignable to type 'string'`,
  ],
  [
    'an event is sent as a command',
    `export const c = command(OrderConfirmed, { orderId: '1' });`,
    `is not assignable to parameter of type 'CommandContract<`,
  ],
  [
    'a schema describes another payload',
    `declare const schema: StandardSchema<{ n: number }>;
export const c = defineCommand<{ orderId: string }>()('a.b', { payload: schema });`,
    `Property 'orderId' is missing in type '{ n: number; }'`,
  ],
];

const LOST = 'this result comes back as plain data, without methods';
refused.push(
  [
    'a step returns several commands',
    saga(
      `@SagaStep() a() { return [command(Reserve, { orderId: '1' }), command(Reserve, { orderId: '2' })]; }`,
    ),
    'a step sends one command, which it returns by itself',
  ],
  [
    'a step returns a command inside of something else',
    saga(`@SagaStep() async a() { return { sent: command(Release, { orderId: '1' }) }; }`),
    'a step sends one command, which it returns by itself',
  ],
  [
    'the result of a step has methods',
    saga(`@SagaStep() async a(): Promise<Entity> { return new Entity(); }`) + ENTITY,
    LOST,
  ],
  [
    'the result of a step has members with methods',
    saga(`@SagaStep() a(): { lines: Entity[] } { return { lines: [] }; }`) + ENTITY,
    LOST,
  ],
  [
    'a compensation returns a class instance',
    saga(`@Compensate('charge') a() { return new Entity(); }`) + ENTITY,
    LOST,
  ],
  [
    'the result of a step holds a Date',
    saga(`@SagaStep() a() { return { at: new Date() }; }`),
    'give a Date as date.toISOString()',
  ],
  [
    'the result of a step is a Map',
    saga(`@SagaStep() async a() { return new Map<string, number>(); }`),
    'give a Map or a Set as an array',
  ],
  [
    'the result of a step holds a bigint',
    saga(`@SagaStep() a(): { id: bigint } | undefined { return undefined; }`),
    'give a bigint or a symbol as a text',
  ],
);

const accepted: readonly (readonly [promise: string, source: string])[] = [
  [
    'steps, dependencies and an output of its own',
    saga('', `name: 'x', version: 2, output: 'confirm'`),
  ],
  [
    'several dependencies, one of them declared later',
    saga(`@SagaStep({ dependsOn: ['reserve', 'b'] }) a() {} @SagaStep() b() {}`),
  ],
  [
    'a saga without output',
    `@Saga({ name: 'x' }) export class X extends SagaOf<Order> { @SagaStep() a() {} }`,
  ],
  [
    'an output of nothing from a step that returns nothing',
    `@Saga({ name: 'x', output: 'a' }) export class X extends SagaOf<Order> { @SagaStep() async a() {} }`,
  ],
  [
    'the reply of a command as a result',
    saga(`@SagaStep() a(@StepResult('reserve') r: Reserved) {}`),
  ],
  [
    'results of every plain kind',
    saga(
      `@SagaStep() a(): { id: string & { readonly brand: 'id' }; tags: readonly string[]; more?: { n: number | null }; raw: Record<string, unknown>; any: any; un: unknown } | null { return null; } @SagaStep() b(): unknown { return 1; } @SagaStep() c(): any { return 1; } @SagaStep() d(): never { throw new Error(); } @SagaStep() e() { return Math.random() > 1 ? command(Reserve, { orderId: '1' }) : { reservation: 'r' }; } @SagaStep() async f(): Promise<[string, number]> { return ['a', 1]; } @SagaStep() g(): Tree { return { kids: [] }; }`,
    ) + `interface Tree { readonly kids: readonly Tree[] }`,
  ],
  [
    'an instance of a class that is data alone',
    saga(`@SagaStep() a(): Line { return new Line(); }`) + `class Line { sku = ''; count = 0; }`,
  ],
  ['a part of the result', saga(`@SagaStep() a(@StepResult('charge') p: { payment: string }) {}`)],
  [
    'a part of the input, and an optional parameter',
    saga(`@SagaStep() a(@SagaInput() o: { id: string }, @StepResult('charge') p?: Payment) {}`),
  ],
  [
    'an unknown parameter',
    saga(`@SagaStep() a(@SagaInput() o: unknown, @StepResult('charge') p: unknown) {}`),
  ],
  [
    'an optional result in a compensation',
    saga(
      `@Compensate('reserve') a(@SagaInput() o: Order, @ResultIfAny('reserve') r?: Reserved) { return command(Release, { orderId: o.id }); }`,
    ),
  ],
  [
    'a result or undefined in a compensation',
    saga(
      `@Compensate('charge', { retry: { attempts: 20 } }) a(@ResultIfAny('charge') p: Payment | undefined) {}`,
    ),
  ],
  [
    'key, context and transaction manager',
    saga(
      `@SagaStep({ transactional: true }) a(@IdempotencyKey() k: string, @StepContext() c: StepContext<X>, @TransactionManager() m: { save(): void }) {}`,
    ),
  ],
  [
    'a context of any saga',
    saga(`@SagaStep() a(@StepContext() c: StepContext) { return c.attempt; }`),
  ],
  [
    'results from the context, through chains of inferred types',
    saga(
      `@SagaStep() a(@StepContext() c: StepContext<X>) { return { n: c.result('charge').amount }; } @SagaStep() b(@StepContext() c: StepContext<X>): number { return c.result('a').n; }`,
    ),
  ],
  [
    'a forward recovery whose result stands in',
    saga(
      `@ForwardRecovery('charge', { timeout: '10s' }) a(@ResultIfAny('charge') p?: Payment): Promise<Payment> { throw new Error(); }`,
    ),
  ],
  [
    'a step that returns a command or a value',
    `@Saga({ name: 'x' }) export class X extends SagaOf<Order> { @SagaStep() a(@SagaInput() o: Order) { return o.total > 0 ? command(Reserve, { orderId: o.id }) : undefined; } @SagaStep() b(@StepResult('a') r: Reserved | undefined) {} }`,
  ],
  [
    'a command asynchronously',
    `@Saga({ name: 'x' }) export class X extends SagaOf<Order> { @SagaStep() async a() { return command(Reserve, { orderId: '1' }, { item: '1', timeout: '5m' }); } @SagaStep() b(@StepResult('a') r: Reserved) {} }`,
  ],
  [
    'a saga with dependencies of its own and a base class',
    `abstract class Base extends SagaOf<Order> { constructor(protected readonly n: number) { super(); } @SagaStep() a(@SagaInput() o: Order) {} } @Saga({ name: 'x' }) export class X extends Base { constructor(n: number, readonly m: string) { super(n); } @SagaStep({ dependsOn: ['a'] }) b() {} }`,
  ],
  [
    'durations and policies',
    saga(
      `@SagaStep({ timeout: 500, replyTimeout: '1.5h', retry: { attempts: 3, backoff: '200ms', maxDelay: '1m', jitter: 0 } }) a() {} @Compensate('a', { timeout: false }) u() {}`,
    ),
  ],
  [
    'a start with the input, for the output',
    saga('') + `start(X, { id: '1', total: 2 }).then((end: Confirmed) => end.orderId);`,
  ],
  [
    'what types say of sagas and contracts',
    `${saga('')}
is<Order, SagaInputOf<X>>(); is<SagaInputOf<X>, Order>(); is<Confirmed, SagaOutputOf<X>>(); is<SagaOutputOf<X>, Confirmed>();
is<Reserved, StepOutput<X['reserve']>>(); is<StepOutput<X['reserve']>, Reserved>(); is<Payment, StepOutput<X['charge']>>();
is<Reserved, ReplyOf<typeof Reserve>>(); is<ReplyOf<typeof Reserve>, Reserved>(); is<{ orderId: string }, PayloadOf<typeof OrderConfirmed>>(); is<PayloadOf<typeof OrderConfirmed>, { orderId: string }>();`,
  ],
  [
    'a schema for a payload and a reply',
    `declare const p: StandardSchema<{ orderId: string }>; declare const r: StandardSchema<Reserved>; export const c = defineCommand<{ orderId: string }, Reserved>()('a.b', { payload: p, reply: r, expiresIn: '1h' });`,
  ],
];

describe.each([
  ['the options of a Nest application', asNestGenerates],
  [
    'the strictest options',
    {
      ...asNestGenerates,
      isolatedModules: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
    },
  ],
])('under %s the compiler', (_, options) => {
  let errors: readonly string[][] = [];

  beforeAll(() => {
    errors = compile(
      import.meta.dirname,
      [...refused, ...accepted].map(([, source]) => PREAMBLE + source),
      options,
    );
  }, 120_000);

  it.each(refused.map(([promise, , message], index) => ({ promise, message, index })))(
    'refuses when $promise',
    ({ message, index }) => {
      expect(errors[index]).toEqual([expect.stringContaining(message)]);
    },
  );

  it.each(accepted.map(([promise], index) => ({ promise, index: refused.length + index })))(
    'accepts $promise',
    ({ index }) => {
      expect(errors[index]).toEqual([]);
    },
  );
});
