import { describe, expect, it } from 'vitest';
import {
  Compensate,
  ForwardRecovery,
  InvalidSagaDefinitionError,
  ResultIfAny,
  Saga,
  SagaInput,
  SagaOf,
  SagaStep,
  StepResult,
  TransactionManager,
  buildSagaDefinition,
} from './index.js';
import type { SagaClass, SagaOptions } from './index.js';
import { markSaga, metadataOf } from './metadata.js';

/** A class whose decorators say what the compiler would refuse, as plain JavaScript can. */
function undecidedSaga(
  steps: Readonly<Record<string, object>>,
  options: object = { name: 'x' },
): SagaClass {
  class Undecided extends SagaOf<void> {}
  for (const [name, step] of Object.entries(steps)) {
    Object.defineProperty(Undecided.prototype, name, { value: () => undefined });
    metadataOf(Undecided.prototype, name).steps.push(step);
  }
  markSaga(Undecided, options as SagaOptions);
  return Undecided;
}

function problemsOf(sagaClass: SagaClass): readonly string[] {
  try {
    buildSagaDefinition(sagaClass);
  } catch (error) {
    if (!(error instanceof InvalidSagaDefinitionError)) throw error;
    return error.problems.map(
      ({ method, problem, remedy }) => `${method ?? 'class'}: ${problem} ${remedy}`,
    );
  }
  return [];
}

@Saga({ name: 'x' })
class NoSteps extends SagaOf<void> {}

class NoDecorator extends SagaOf<void> {
  @SagaStep()
  a(): void {}
}

@Saga({ name: 'base' })
class Base extends SagaOf<void> {
  @SagaStep()
  a(): void {}
}

class Inherits extends Base {}

@Saga({ name: 'x' })
class Parameters extends SagaOf<number> {
  @SagaStep()
  bare(_n: number, @SagaInput() _input: number): void {}

  @SagaStep({ dependsOn: ['bare'] })
  twice(@SagaInput() @StepResult('bare') _n: unknown): void {}

  @SagaStep({ dependsOn: ['twice'] })
  manager(@TransactionManager() _m: unknown): void {}

  neither(@SagaInput() _n: number): void {}
}

@Saga({ name: 'x' })
class Results extends SagaOf<void> {
  @SagaStep()
  a(): number {
    return 1;
  }

  @SagaStep()
  b(@StepResult('a') _a: number): void {}

  @Compensate('b')
  undo(@StepResult('a') _a: number, @ResultIfAny('join') _j: unknown): void {}

  @SagaStep({ dependsOn: ['a', 'b'] })
  join(@ResultIfAny('b') _b: unknown): void {}
}

@Saga({ name: 'x' })
class Twice extends SagaOf<void> {
  @SagaStep()
  a(): void {}

  @Compensate('a')
  undo(): void {}

  @Compensate('a')
  undoAgain(): void {}

  @SagaStep({ dependsOn: ['a'] })
  @SagaStep()
  b(): void {}

  @Compensate('undo')
  undoOfNoStep(): void {}
}

@Saga({ name: 'x' })
class Pivots extends SagaOf<void> {
  @SagaStep()
  before(): void {}

  @ForwardRecovery('before')
  recoverBefore(): void {}

  @SagaStep({ dependsOn: ['before'], pivot: true })
  left(): void {}

  @Compensate('left')
  undoLeft(): void {}

  @SagaStep({ dependsOn: ['before'], pivot: true })
  right(): void {}

  @SagaStep({ dependsOn: ['left', 'right'] })
  after(): void {}

  @Compensate('after')
  undoAfter(): void {}
}

const cases: readonly (readonly [string, SagaClass, readonly string[]])[] = [
  ['no step', NoSteps, ['class: It has no step. Decorate at least one method with @SagaStep().']],
  [
    'no @Saga',
    NoDecorator,
    [
      "class: It is not decorated as a saga. (A decorator of its base class does not count: two sagas cannot have one name.) Decorate it with @Saga({ name: '…' }).",
    ],
  ],
  [
    'only the @Saga of its base',
    Inherits,
    [expect.stringContaining('A decorator of its base class does not count')],
  ],
  [
    'parameters without a source, with two, and without a role',
    Parameters,
    [
      'bare: Parameter 1 has no decorator, so its value is unknown. Decorate it with @SagaInput(), @StepResult(…), @ResultIfAny(…), @IdempotencyKey(), @StepContext() or @TransactionManager(), or remove it.',
      'twice: Parameter 1 has more than one decorator of Sagaz. Keep the one that says where its value comes from.',
      'neither: Its parameters are decorated, but it is neither step nor compensation. Decorate it with @SagaStep(), @Compensate(…) or @ForwardRecovery(…).',
      'manager: @TransactionManager() in a method that has no transaction. Add transactional: true to its options.',
    ],
  ],
  [
    'results that may not be there',
    Results,
    [
      "b: @StepResult('a'), but 'b' does not depend on 'a', so it may run first. Add 'a' to the dependsOn of 'b'.",
      "undo: @StepResult('a') in a compensation: it also runs when that step has no result. Use @ResultIfAny('a') and let the parameter be undefined.",
    ],
  ],
  [
    'decorators twice, and a compensation of no step',
    Twice,
    [
      'b: It is decorated more than once as a step, compensation or recovery. Keep one decorator and move the rest into methods of their own.',
      "undoAgain: @Compensate('a') is there twice: 'undo' has it too. Keep one of them and call the other from it.",
      "undoOfNoStep: @Compensate('undo') names no step of this saga. Name one of: a, b.",
    ],
  ],
  [
    'pivots on two branches, and what can never run because of a pivot',
    Pivots,
    [
      "right: It is a pivot on another branch than the pivot 'left': one could be passed while the other fails, and then there is neither a way back nor forward. Let one depend on the other, or make a single step that depends on both the pivot.",
      "recoverBefore: It can never run: 'before' depends on no pivot, so its failure is compensated. Use @Compensate('before'), or let 'before' depend on a pivot.",
      "undoLeft: It can never run: 'left' is a pivot, and a pivot is never undone. Remove the compensation, or the pivot.",
      "undoAfter: It can never run: 'after' comes after the pivot 'left', behind which nothing is undone. Remove it, or use @ForwardRecovery('after').",
    ],
  ],
  [
    'a circle of dependencies, printed as a path, and a pivot behind it',
    undecidedSaga({
      a: { dependsOn: ['c'] },
      b: { dependsOn: ['a'] },
      c: { dependsOn: ['b'] },
      d: { dependsOn: ['c'], pivot: true },
    }),
    [
      'a: It waits for itself: a → c → b → a, each depending on the next. Take one of these dependencies out.',
      'd: It is a pivot that can never be reached: what it depends on can never be complete. Repair its dependencies first.',
    ],
  ],
  [
    'a dependency on itself',
    undecidedSaga({ a: { dependsOn: ['a'] } }),
    [expect.stringContaining('a: It waits for itself: a → a,')],
  ],
  [
    'a dependency on a step that is not there',
    undecidedSaga({ a: { dependsOn: ['b', 'x'] }, b: {} }),
    ["a: It depends on 'x', which is no step of this saga. Name one of: b."],
  ],
  [
    'parts that have nothing to do with each other',
    undecidedSaga({ a: {}, b: { dependsOn: ['a'] }, c: {} }),
    [
      'class: Its steps fall into parts that have nothing to do with each other: [a, b] and [c]. Join them by dependsOn, if need be in a last step, or make them sagas of their own.',
    ],
  ],
  [
    'durations, policies and names outside their range',
    undecidedSaga({
      a: { timeout: '5 parsecs', retry: { attempts: 0 } },
      b: { dependsOn: ['a'], retry: { backoff: '1m', maxDelay: '1s' }, replyTimeout: 0 },
      'a:b': { dependsOn: ['a'], retry: { jitter: 2 } },
    }),
    [
      "a: timeout: '5 parsecs' is not a duration. Give a number of milliseconds, or a text of a number and a unit: '200ms', '30s', '5m', '1h', '2d'.",
      'a: retry.attempts: 0 is not allowed. Give a whole number of 1 or more.',
      'b: replyTimeout: 0 ms leaves no time at all. Give it time, or leave it out.',
      "b: retry.maxDelay: '1s' is not allowed. Give at least the backoff, 60000 ms.",
      "a:b: Its name cannot be the name of a step. Use at most 100 letters of the Latin alphabet, digits, '_' and '$'.",
      'a:b: retry.jitter: 2 is not allowed. Give a number from 0 to 1.',
    ],
  ],
  [
    'options of the saga outside their range',
    undecidedSaga(
      { a: {} },
      {
        name: 'place order',
        version: 0,
        output: 'b',
        deadline: 0,
        grace: '1s',
        failureStrategy: 'hope',
        maxCrashes: 0.5,
      },
    ),
    [
      `class: @Saga({ name: 'place order' }) is no name of a saga. Use at most 100 letters, digits, '.', '-' and '_', beginning with a letter, such as 'place-order'.`,
      'class: @Saga({ version: 0 }) is no version. Use 1, 2, 3 and so on.',
      `class: @Saga({ failureStrategy: 'hope' }) is unknown. Use 'fail-fast', 'wait-all' or 'fail-fast-with-grace'.`,
      'class: @Saga({ maxCrashes: 0.5 }) is no count. Use a whole number of 1 or more.',
      "class: @Saga({ grace }) means nothing to the failure strategy 'hope'. Add failureStrategy: 'fail-fast-with-grace', or leave grace out.",
      'class: deadline: 0 ms leaves no time at all. Give it time, or leave it out.',
      "class: @Saga({ output: 'b' }) names no step of this saga. Name one of: a.",
    ],
  ],
];

describe('a saga is refused at start-up for', () => {
  it.each(cases)('%s', (_, sagaClass, problems) => {
    expect(problemsOf(sagaClass)).toEqual(problems);
  });

  it('with options that nobody reads, or flags that are none', () => {
    const saga = undecidedSaga(
      {
        charge: { transactionl: true, retry: { attemps: 3 } },
        confirm: { dependsOn: ['charge'], transactional: 'yes' },
      },
      { name: 'x', deadlin: '1h' },
    );
    expect(problemsOf(saga)).toEqual([
      "class: There is no option 'deadlin'. Give one of name, version, output, connection, deadline, failureStrategy, grace, maxCrashes.",
      "charge: There is no option 'transactionl'. Give one of retry, timeout, replyTimeout, transactional, dependsOn, pivot.",
      "charge: There is no option 'attemps'. Give one of attempts, backoff, factor, maxDelay, jitter.",
      "confirm: transactional is 'yes'. Give true or false.",
    ]);
  });

  it('being decorated on a static method, at once', () => {
    expect(() => metadataOf(NoSteps, 'a')).toThrow('NoSteps.a: It is static');
  });

  it('decorating what is no method', () => {
    class Accessor extends SagaOf<void> {}
    Object.defineProperty(Accessor.prototype, 'a', { value: 1 });
    metadataOf(Accessor.prototype, 'a').steps.push({});
    markSaga(Accessor, { name: 'x' });
    expect(problemsOf(Accessor)).toContain(
      'a: It is decorated, but it is no method. Make it a method.',
    );
  });

  it('a parameter with a default and no decorator, where the compiler wrote the types down', () => {
    @Saga({ name: 'x' })
    class Defaults extends SagaOf<number> {
      @SagaStep()
      a(@SagaInput() _n: number, _times = 1): void {}
    }
    // The package reflect-metadata, which another test of this process may have loaded, adds these.
    const added = Object.getOwnPropertyDescriptor(Reflect, 'getMetadata');
    Reflect.deleteProperty(Reflect, 'getMetadata');
    try {
      expect(problemsOf(Defaults)).toEqual([]);
      const types = () => [Number, Number];
      Object.defineProperty(Reflect, 'getMetadata', { value: types, configurable: true });
      expect(problemsOf(Defaults)).toEqual([expect.stringContaining('a: Parameter 2 has no')]);
    } finally {
      Reflect.deleteProperty(Reflect, 'getMetadata');
      if (added !== undefined) Object.defineProperty(Reflect, 'getMetadata', added);
    }
  });

  it('everything that is wrong at once, in a message that a person can act on', () => {
    expect(() => buildSagaDefinition(Results)).toThrow(
      [
        'The saga class Results cannot be used.',
        "  - Results.b: @StepResult('a'), but 'b' does not depend on 'a', so it may run first. Add 'a' to the dependsOn of 'b'.",
        "  - Results.undo: @StepResult('a') in a compensation: it also runs when that step has no result. Use @ResultIfAny('a') and let the parameter be undefined.",
        ' Repair these 2 and start again.',
      ].join('\n'),
    );
  });
});

describe('a saga is accepted', () => {
  it('when parallel branches join, from several first steps', () => {
    const joined = undecidedSaga({ a: {}, b: {}, c: { dependsOn: ['a', 'b'] } });
    expect(problemsOf(joined)).toEqual([]);
  });

  it('when one pivot comes after another, and what is behind them goes forward', () => {
    @Saga({ name: 'x' })
    class TwoPivots extends SagaOf<void> {
      @SagaStep({ pivot: true })
      first(): void {}

      @SagaStep({ dependsOn: ['first'], pivot: true })
      second(): void {}

      @ForwardRecovery('second')
      recover(@ResultIfAny('second') _s: unknown, @ResultIfAny('first') _f: unknown): void {}
    }
    expect(problemsOf(TwoPivots)).toEqual([]);
  });
});
