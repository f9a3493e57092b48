import {
  COMPENSATION_RETRY,
  DEFAULT_TIME_LIMIT_MS,
  STEP_RETRY,
  parseDuration,
  parseRetry,
  parseTimeLimit,
} from '../retry/index.js';
import { valueText } from '../errors/index.js';
import type { RetryOptions } from '../retry/index.js';
import { methodsOf } from './metadata.js';
import type { MethodMetadata } from './metadata.js';
import type { CompensationOptions, StepOptions } from './options.js';
import type { Problems } from './problems.js';
import type {
  ArgumentSource,
  CompensationDefinition,
  SagaClass,
  StepDefinition,
} from './saga-definition.js';

/** A step as its decorators describe it, before the graph is known. */
export type StepDraft = Omit<
  StepDefinition,
  'ancestors' | 'dependents' | 'compensation' | 'forwardRecovery'
>;

/** A compensation or recovery, and the step that it belongs to. */
export interface CompensationDraft {
  readonly step: string;
  readonly definition: CompensationDefinition;
}

export interface MethodDrafts {
  readonly steps: readonly StepDraft[];
  readonly compensations: readonly CompensationDraft[];
  readonly recoveries: readonly CompensationDraft[];
}

const ATTEMPT_OPTIONS: readonly string[] = [
  'retry',
  'timeout',
  'replyTimeout',
  'transactional',
] satisfies readonly (keyof CompensationOptions)[];
const STEP_OPTIONS: readonly string[] = [...ATTEMPT_OPTIONS, 'dependsOn', 'pivot'];
const RETRY_OPTIONS: readonly string[] = [
  'attempts',
  'backoff',
  'factor',
  'maxDelay',
  'jitter',
] satisfies readonly (keyof RetryOptions)[];

/** Names become part of idempotency keys and headers, which other systems receive. */
const STEP_NAME = /^[A-Za-z_$][\w$]{0,99}$/;

/**
 * The number of parameters that the compiler saw, if it recorded them (`emitDecoratorMetadata`). It is
 * needed because `length` of a function counts only up to the first parameter with a default.
 */
function writtenArity(sagaClass: SagaClass, method: string): number {
  const reader: unknown = Object.getOwnPropertyDescriptor(Reflect, 'getMetadata')?.value;
  if (typeof reader !== 'function') return 0;
  const types: unknown = Reflect.apply(reader, Reflect, [
    'design:paramtypes',
    sagaClass.prototype,
    method,
  ]);
  return Array.isArray(types) ? types.length : 0;
}

function readArguments(
  sagaClass: SagaClass,
  method: string,
  { parameters, arity }: MethodMetadata,
  problems: Problems,
): readonly ArgumentSource[] {
  const sources: ArgumentSource[] = [];
  const byIndex = new Map<number, ArgumentSource>();
  for (const { index, source } of parameters) {
    if (byIndex.has(index)) {
      problems.add(
        method,
        `Parameter ${index + 1} has more than one decorator of Sagaz.`,
        'Keep the one that says where its value comes from.',
      );
    }
    byIndex.set(index, source);
  }
  const count = Math.max(
    arity,
    writtenArity(sagaClass, method),
    ...[...byIndex.keys()].map((index) => index + 1),
  );
  for (let index = 0; index < count; index += 1) {
    const source = byIndex.get(index);
    if (source === undefined) {
      problems.add(
        method,
        `Parameter ${index + 1} has no decorator, so its value is unknown.`,
        'Decorate it with @SagaInput(), @StepResult(…), @ResultIfAny(…), @IdempotencyKey(), @StepContext() or @TransactionManager(), or remove it.',
      );
    } else {
      sources.push(Object.freeze({ ...source }));
    }
  }
  return Object.freeze(sources);
}

function readAttempts(
  method: string,
  options: StepOptions | CompensationOptions,
  defaults: typeof STEP_RETRY,
  problems: Problems,
) {
  const retry: unknown = options.retry;
  // A value that is no object is reported where it is parsed.
  if (typeof retry === 'object' && retry !== null) problems.only(method, retry, RETRY_OPTIONS);
  for (const name of ['transactional', 'pivot']) {
    const value: unknown = Reflect.get(options, name);
    if (value === undefined || typeof value === 'boolean') continue;
    problems.add(method, `${name} is ${valueText(value)}.`, 'Give true or false.');
  }
  const { timeout, replyTimeout } = options;
  const timeoutMs = problems.attempt(method, () => parseTimeLimit(timeout), DEFAULT_TIME_LIMIT_MS);
  const replyTimeoutMs =
    replyTimeout === undefined
      ? (timeoutMs ?? DEFAULT_TIME_LIMIT_MS)
      : readReplyTimeout(method, replyTimeout, problems);
  return {
    method,
    transactional: options.transactional ?? false,
    retry: problems.attempt(method, () => parseRetry(options.retry, defaults), defaults),
    timeoutMs,
    replyTimeoutMs,
  };
}

function readReplyTimeout(method: string, given: unknown, problems: Problems): number {
  const read = (): number => parseDuration(given, 'replyTimeout');
  const ms = problems.attempt(method, read, DEFAULT_TIME_LIMIT_MS);
  if (ms === 0) {
    const problem = 'replyTimeout: 0 ms leaves no time at all.';
    problems.add(method, problem, 'Give it time, or leave it out.');
  }
  return ms;
}

function readDependencies(method: string, given: unknown, problems: Problems): readonly string[] {
  if (given === undefined) return [];
  const names: unknown[] = Array.isArray(given) ? given : [given];
  if (Array.isArray(given) && names.every((name) => typeof name === 'string')) {
    return Object.freeze([...new Set(names)]);
  }
  problems.add(method, `dependsOn is ${valueText(given)}.`, "Give a list of steps: ['reserve'].");
  return [];
}

/** Reads the metadata that the decorators of a class recorded, and reports what is wrong with it. */
export function readMethods(sagaClass: SagaClass, problems: Problems): MethodDrafts {
  const steps: StepDraft[] = [];
  const compensations: CompensationDraft[] = [];
  const recoveries: CompensationDraft[] = [];
  for (const [method, metadata] of methodsOf(sagaClass)) {
    if (typeof (sagaClass.prototype as Readonly<Record<string, unknown>>)[method] !== 'function') {
      problems.add(method, 'It is decorated, but it is no method.', 'Make it a method.');
      continue;
    }
    const roles = metadata.steps.length + metadata.compensates.length + metadata.recovers.length;
    if (roles === 0) {
      problems.add(
        method,
        'Its parameters are decorated, but it is neither step nor compensation.',
        'Decorate it with @SagaStep(), @Compensate(…) or @ForwardRecovery(…).',
      );
      continue;
    }
    if (roles > 1) {
      problems.add(
        method,
        'It is decorated more than once as a step, compensation or recovery.',
        'Keep one decorator and move the rest into methods of their own.',
      );
    }
    const from = readArguments(sagaClass, method, metadata, problems);
    if (metadata.steps.length > 0 && !STEP_NAME.test(method)) {
      problems.add(
        method,
        'Its name cannot be the name of a step.',
        "Use at most 100 letters of the Latin alphabet, digits, '_' and '$'.",
      );
    }
    for (const options of metadata.steps) {
      if (!problems.only(method, options, STEP_OPTIONS)) continue;
      steps.push({
        name: method,
        ...readAttempts(method, options, STEP_RETRY, problems),
        arguments: from,
        dependsOn: readDependencies(method, options.dependsOn, problems),
        pivot: options.pivot ?? false,
      });
    }
    for (const [records, drafts] of [
      [metadata.compensates, compensations],
      [metadata.recovers, recoveries],
    ] as const) {
      for (const { step, options } of records) {
        if (!problems.only(method, options, ATTEMPT_OPTIONS)) continue;
        const attempts = readAttempts(method, options, COMPENSATION_RETRY, problems);
        drafts.push({ step, definition: Object.freeze({ ...attempts, arguments: from }) });
      }
    }
  }
  return { steps, compensations, recoveries };
}
