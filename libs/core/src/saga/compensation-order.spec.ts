import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildSagaDefinition, committedSteps, compensationOrder, SagaOf } from './index.js';
import type { SagaDefinition } from './index.js';
import { markSaga, metadataOf } from './metadata.js';

interface Plan {
  readonly dependsOn?: readonly string[];
  readonly undo?: boolean;
  readonly pivot?: boolean;
}

function definitionOf(plan: Readonly<Record<string, Plan>>): SagaDefinition {
  class Planned extends SagaOf<void> {}
  const method = (name: string) => {
    Object.defineProperty(Planned.prototype, name, { value: () => undefined });
    return metadataOf(Planned.prototype, name);
  };
  for (const [name, { dependsOn = [], undo = false, pivot = false }] of Object.entries(plan)) {
    method(name).steps.push({ dependsOn, pivot });
    if (undo) method(`undo_${name}`).compensates.push({ step: name, options: {} });
  }
  markSaga(Planned, { name: 'planned' });
  return buildSagaDefinition(Planned);
}

function orderOf(plan: Readonly<Record<string, Plan>>, steps: readonly string[]) {
  return Object.fromEntries(
    [...compensationOrder(definitionOf(plan), steps)].map(([name, before]) => [name, [...before]]),
  );
}

describe('compensation', () => {
  it('undoes C before A although B between them has nothing to undo', () => {
    const plan = {
      a: { undo: true },
      b: { dependsOn: ['a'] },
      c: { dependsOn: ['b'], undo: true },
    };
    expect(orderOf(plan, ['a', 'b', 'c'])).toEqual({ a: ['c'], c: [] });
  });

  it('keeps that order when what lies between was never run', () => {
    const plan = {
      a: { undo: true },
      b: { dependsOn: ['a'], undo: true },
      c: { dependsOn: ['b'], undo: true },
    };
    expect(orderOf(plan, ['a', 'c'])).toEqual({ a: ['c'], c: [] });
  });

  it('undoes parallel branches side by side, and what they stand on after both', () => {
    const plan = {
      root: { undo: true },
      left: { dependsOn: ['root'], undo: true },
      right: { dependsOn: ['root'], undo: true },
      join: { dependsOn: ['left', 'right'] },
    };
    const order = orderOf(plan, ['root', 'left', 'right', 'join']);
    expect(order).toEqual({ root: ['left', 'right'], left: [], right: [] });
  });

  it('leaves out what was not run, what has no compensation, and what is unknown', () => {
    const plan = {
      a: { undo: true },
      b: { dependsOn: ['a'] },
      c: { dependsOn: ['a'], undo: true },
    };
    expect(orderOf(plan, ['a', 'b', 'nobody'])).toEqual({ a: [] });
  });

  it('never undoes a completed pivot or what it depends on', () => {
    const plan = {
      a: { undo: true },
      beside: { dependsOn: ['a'], undo: true },
      pivot: { dependsOn: ['a'], pivot: true },
      end: { dependsOn: ['pivot', 'beside'] },
    };
    const definition = definitionOf(plan);
    expect([...committedSteps(definition, ['a', 'beside'])]).toEqual([]);
    expect([...committedSteps(definition, ['a', 'beside', 'pivot'])].sort()).toEqual([
      'a',
      'pivot',
    ]);
  });

  it('of any graph undoes a step after everything behind it, and waits for nothing else', () => {
    const plans = fc
      .array(
        fc.record({
          edges: fc.array(fc.nat(20), { maxLength: 3 }),
          undo: fc.boolean(),
          ran: fc.boolean(),
        }),
        { minLength: 1, maxLength: 12 },
      )
      .map((nodes) =>
        nodes.map(({ edges, ...rest }, index) => ({
          ...rest,
          name: `s${index}`,
          // The first step is always among them, so that the saga is one.
          dependsOn: index === 0 ? [] : [...new Set([0, ...edges.map((edge) => edge % index)])],
        })),
      );
    fc.assert(
      fc.property(plans, (nodes) => {
        const definition = definitionOf(
          Object.fromEntries(
            nodes.map(({ name, dependsOn, undo }) => [
              name,
              { dependsOn: dependsOn.map((index) => `s${index}`), undo },
            ]),
          ),
        );
        const undone = nodes.filter(({ undo, ran }) => undo && ran).map(({ name }) => name);
        const order = compensationOrder(
          definition,
          nodes.filter(({ ran }) => ran).map(({ name }) => name),
        );
        expect([...order.keys()].sort()).toEqual([...undone].sort());

        // Run it, always taking all that is ready: the strictest reading of "may run now".
        const done = new Set<string>();
        while (done.size < order.size) {
          const ready = [...order].filter(
            ([name, before]) => !done.has(name) && [...before].every((other) => done.has(other)),
          );
          expect(ready.length).toBeGreaterThan(0);
          for (const [name] of ready) {
            for (const other of undone) {
              const behind = definition.steps.get(other)!.ancestors.has(name);
              if (behind) expect(done.has(other)).toBe(true);
            }
          }
          for (const [name] of ready) done.add(name);
        }
        for (const [name, before] of order) {
          for (const other of before) {
            expect(definition.steps.get(other)!.ancestors.has(name)).toBe(true);
          }
        }
      }),
    );
  });
});
