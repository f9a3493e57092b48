import { expect, it } from 'vitest';
import { buildSagaDefinition, InvalidSagaDefinitionError, SagaOf } from './index.js';
import type { SagaOptions, StepOptions } from './index.js';
import { markSaga, metadataOf } from './metadata.js';

const circle: Record<string, unknown> = {};
circle['self'] = circle;

/** As JavaScript, or options read from a file, would write them. */
const options: unknown = {
  name: 2n,
  version: [1],
  connection: circle,
  failureStrategy: Symbol('s'),
  grace: 1,
};
const steps: Readonly<Record<string, unknown>> = {
  a: { dependsOn: 'b', retry: { factor: '2', jitter: '' }, timeout: Symbol('t') },
  b: { retry: 5, transactional: 1n },
  c: null,
  d: { retry: { attempts: [2], backoff: true }, replyTimeout: 2n },
  e: { dependsOn: [circle], retry: null },
};

class Undecided extends SagaOf<void> {}
for (const [name, step] of Object.entries(steps)) {
  Object.defineProperty(Undecided.prototype, name, { value: () => undefined });
  metadataOf(Undecided.prototype, name).steps.push(step as StepOptions);
}
markSaga(Undecided, options as SagaOptions);

it('refuses options of kinds that they cannot have, and shows each, whatever it is', () => {
  try {
    buildSagaDefinition(Undecided);
  } catch (error) {
    if (!(error instanceof InvalidSagaDefinitionError)) throw error;
    const found = error.problems.map(
      ({ method, problem, remedy }) => `${method ?? 'class'}: ${problem} ${remedy}`,
    );
    expect(found).toEqual([
      "class: @Saga({ name: 2n }) is no name of a saga. Use at most 100 letters, digits, '.', '-' and '_', beginning with a letter, such as 'place-order'.",
      'class: @Saga({ version: [ 1 ] }) is no version. Use 1, 2, 3 and so on.',
      "class: @Saga({ failureStrategy: Symbol(s) }) is unknown. Use 'fail-fast', 'wait-all' or 'fail-fast-with-grace'.",
      'class: @Saga({ connection: <ref *1> { self: [Circular *1] } }) is no name of a DataSource. Give its name, or leave connection out.',
      "class: @Saga({ grace }) means nothing to the failure strategy Symbol(s). Add failureStrategy: 'fail-fast-with-grace', or leave grace out.",
      "a: timeout: Symbol(t) is no time limit. Give a time, such as '30s' or '5m', or false for no limit.",
      "a: retry.factor: '2' is not allowed. Give a number from 1 to 100.",
      "a: dependsOn is 'b'. Give a list of steps: ['reserve'].",
      'b: transactional is 1n. Give true or false.',
      'b: retry: 5 is not allowed. Give { attempts, backoff, factor, maxDelay, jitter } or some of them.',
      'c: Its options are null. Give { retry, timeout, replyTimeout, transactional, dependsOn, pivot } or some of them.',
      "d: replyTimeout: 2n is not a duration. Give a number of milliseconds, or a text of a number and a unit: '200ms', '30s', '5m', '1h', '2d'.",
      'd: retry.attempts: [ 2 ] is not allowed. Give a whole number of 1 or more.',
      'e: retry: null is not allowed. Give { attempts, backoff, factor, maxDelay, jitter } or some of them.',
      "e: dependsOn is [ [Object] ]. Give a list of steps: ['reserve'].",
      'class: Its steps fall into parts that have nothing to do with each other: [a] and [b] and [d] and [e]. Join them by dependsOn, if need be in a last step, or make them sagas of their own.',
    ]);
    return;
  }
  expect.unreachable();
});

it('refuses options that are none at all', () => {
  const given: readonly unknown[] = [null, 5, [], 'x'];
  for (const none of given) {
    class Odd extends SagaOf<void> {}
    markSaga(Odd, none as SagaOptions);
    expect(() => buildSagaDefinition(Odd)).toThrow(
      /Its options are .*\. Give { name, version, output/,
    );
  }
});
