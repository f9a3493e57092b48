import { describe, expect, it } from 'vitest';
import {
  buildSagaDefinition,
  Compensate,
  ForwardRecovery,
  Saga,
  SagaOf,
  SagaStep,
  type SagaClass,
} from './index.js';
import { metadataOf } from './metadata.js';

const MINUTES_15 = 15 * 60_000;

@Saga({ name: 'limits' })
class Limits extends SagaOf<void> {
  @SagaStep({ timeout: false })
  long(): void {}

  @Compensate('long')
  undo(): void {}

  @SagaStep({ dependsOn: ['long'], transactional: true })
  brief(): void {}

  @SagaStep({ dependsOn: ['brief'], pivot: true, timeout: '10s' })
  pay(): void {}

  @SagaStep({ dependsOn: ['pay'] })
  ship(): void {}

  @ForwardRecovery('ship', { timeout: false, replyTimeout: '1h' })
  byHand(): void {}
}

/** A saga whose one step has these options, which no compiler has seen. */
function withStep(options: object): SagaClass {
  @Saga({ name: 'unchecked' })
  class Unchecked extends SagaOf<void> {
    a(): void {}
  }
  metadataOf(Unchecked.prototype, 'a').steps.push(options);
  return Unchecked;
}

describe('an attempt', () => {
  it('has a time limit, unless that is waived, and so has every wait for a reply', () => {
    const { steps } = buildSagaDefinition(Limits);
    expect(steps.get('long')).toMatchObject({
      timeoutMs: null,
      replyTimeoutMs: MINUTES_15,
      compensation: { timeoutMs: MINUTES_15, replyTimeoutMs: MINUTES_15 },
    });
    expect(steps.get('brief')).toMatchObject({ timeoutMs: MINUTES_15 });
    expect(steps.get('pay')).toMatchObject({ timeoutMs: 10_000, replyTimeoutMs: 10_000 });
    expect(steps.get('ship')).toMatchObject({
      timeoutMs: MINUTES_15,
      forwardRecovery: { timeoutMs: null, replyTimeoutMs: 3_600_000 },
    });
  });

  it.each([
    [{ timeout: 0 }, "a: timeout: 0 leaves no time at all. Give a time, such as '30s' or '5m',"],
    [{ timeout: true }, 'a: timeout: true is no time limit. Give a time'],
    [{ timeout: null }, 'a: timeout: null is no time limit. Give a time'],
    [{ timeout: '1 week' }, "a: timeout: '1 week' is not a duration. Give a number"],
    [{ replyTimeout: false }, 'a: replyTimeout: false is not a duration. Give a number'],
    [{ replyTimeout: 0 }, 'a: replyTimeout: 0 ms leaves no time at all. Give it time'],
  ])('is refused with the limit %j, by its method and with the remedy', (options, text) => {
    expect(() => buildSagaDefinition(withStep(options))).toThrow(text);
  });
});
