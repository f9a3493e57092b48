import { describe, expect, it } from 'vitest';
import {
  Compensate,
  DuplicateSagaError,
  ForwardRecovery,
  Saga,
  SagaOf,
  SagaRegistry,
  SagaStep,
  UnknownSagaError,
  UnknownStepError,
  buildSagaDefinition,
  dryRun,
  sagaDiagram,
} from './index.js';

@Saga({ name: 'place-order' })
class PlaceOrder extends SagaOf<void> {
  @SagaStep()
  reserve(): void {}

  @Compensate('reserve')
  release(): void {}

  @SagaStep()
  authorise(): void {}

  @Compensate('authorise')
  cancel(): void {}

  @SagaStep({ dependsOn: ['reserve', 'authorise'], pivot: true })
  capture(): void {}

  @SagaStep({ dependsOn: ['capture'] })
  confirm(): void {}

  @SagaStep({ dependsOn: ['capture'] })
  ship(): void {}

  @ForwardRecovery('ship')
  shipByHand(): void {}
}

const definition = buildSagaDefinition(PlaceOrder);

describe('a dry run', () => {
  it('shows which steps can run side by side', () => {
    expect(dryRun(definition)).toMatchObject({
      levels: [['reserve', 'authorise'], ['capture'], ['confirm', 'ship']],
      compensations: [],
      outcome: 'completed',
    });
  });

  it('shows what is undone, in which order, when a step fails before the pivot', () => {
    expect(dryRun(definition, { fail: 'capture' })).toEqual({
      levels: [['reserve', 'authorise']],
      failed: 'capture',
      recoveredBy: null,
      skipped: ['confirm', 'ship'],
      compensations: [['authorise', 'reserve']],
      outcome: 'compensated',
    });
  });

  it('undoes the failing step too when its effect is unknown', () => {
    const run = (effectUnknown: boolean) =>
      dryRun(definition, { fail: 'reserve', effectUnknown }).compensations;
    expect(run(false)).toEqual([['authorise']]);
    expect(run(true)).toEqual([['authorise', 'reserve']]);
  });

  it('undoes nothing behind the pivot: the saga is partially committed, or recovers', () => {
    expect(dryRun(definition, { fail: 'confirm' })).toMatchObject({
      compensations: [],
      outcome: 'partially_committed',
    });
    expect(dryRun(definition, { fail: 'ship' })).toMatchObject({
      recoveredBy: 'shipByHand',
      skipped: [],
      outcome: 'completed',
    });
  });

  it('refuses a step that is not there, naming those that are', () => {
    expect(() => dryRun(definition, { fail: 'charge' })).toThrow(UnknownStepError);
    expect(() => dryRun(definition, { fail: 'charge' })).toThrow(
      "The saga 'place-order' has no step 'charge'. Name one of: reserve, authorise, capture, confirm, ship.",
    );
  });
});

describe('the diagram of a saga', () => {
  it('shows steps, pivots, dependencies, compensations and recoveries', () => {
    expect(sagaDiagram(definition)).toBe(`flowchart TD
  s0["reserve"]
  s0 -. undone by .-> s0u(["release"])
  s1["authorise"]
  s1 -. undone by .-> s1u(["cancel"])
  s2[["capture"]]
  s0 --> s2
  s1 --> s2
  s3["confirm"]
  s2 --> s3
  s4["ship"]
  s2 --> s4
  s4 -. recovered by .-> s4r(["shipByHand"])
`);
  });
});

describe('the registry of sagas', () => {
  @Saga({ name: 'place-order', version: 3 })
  class Third extends PlaceOrder {}

  @Saga({ name: 'place-order' })
  class Again extends PlaceOrder {}

  it('knows versions side by side, and which is the latest', () => {
    const registry = new SagaRegistry();
    const third = registry.add(Third);
    const first = registry.add(PlaceOrder);
    expect(registry.add(PlaceOrder)).toBe(first);
    expect(registry.get('place-order', 1)).toBe(first);
    expect(registry.get('place-order', 2)).toBeUndefined();
    expect(registry.latest('place-order')).toBe(third);
    expect(registry.latest('nobody')).toBeUndefined();
    expect(registry.of(Third)).toBe(third);
    expect(registry.all()).toEqual([third, first]);
    expect(registry.runnable()).toEqual([{ name: 'place-order', versions: [1, 3] }]);
  });

  it('refuses two classes with one name and version', () => {
    const registry = new SagaRegistry();
    registry.add(PlaceOrder);
    expect(() => registry.add(Again)).toThrow(DuplicateSagaError);
    expect(() => registry.add(Again)).toThrow(
      "Version 1 of the saga 'place-order' is defined by two classes, PlaceOrder and Again.",
    );
  });

  it('says what to do about a class it does not know', () => {
    expect(() => new SagaRegistry().of(PlaceOrder)).toThrow(UnknownSagaError);
  });
});
