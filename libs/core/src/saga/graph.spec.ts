import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ancestorsIn,
  componentsOf,
  cycleIn,
  dependentsIn,
  levelsOf,
  topologicalOrder,
} from './graph.js';
import type { Graph } from './graph.js';

/** Graphs of up to 12 nodes; edges only to earlier nodes, then the nodes are shuffled. */
const acyclic: fc.Arbitrary<Graph> = fc
  .integer({ min: 1, max: 12 })
  .chain((size) =>
    fc.tuple(
      fc.array(fc.array(fc.nat(size), { maxLength: 4 }), { minLength: size, maxLength: size }),
      fc.shuffledSubarray(
        Array.from({ length: size }, (_, index) => index),
        { minLength: size, maxLength: size },
      ),
    ),
  )
  .map(
    ([edges, order]) =>
      new Map(
        order.map((node) => [
          `n${node}`,
          [...new Set((edges[node] ?? []).filter((to) => to < node).map((to) => `n${to}`))],
        ]),
      ),
  );

/** Graphs of up to 8 nodes with any edges between them. */
const any: fc.Arbitrary<Graph> = fc
  .array(fc.array(fc.nat(7), { maxLength: 3 }), { minLength: 1, maxLength: 8 })
  .map(
    (edges) =>
      new Map(
        edges.map((to, node) => [
          `n${node}`,
          [...new Set(to.filter((other) => other < edges.length).map((other) => `n${other}`))],
        ]),
      ),
  );

describe('a graph of steps', () => {
  it('has an order in which every step comes after all it depends on', () => {
    fc.assert(
      fc.property(acyclic, (graph) => {
        const order = topologicalOrder(graph);
        expect([...order].sort()).toEqual([...graph.keys()].sort());
        const place = new Map(order.map((name, index) => [name, index]));
        for (const [name, dependencies] of graph) {
          for (const dependency of dependencies) {
            expect(place.get(dependency)).toBeLessThan(place.get(name)!);
          }
        }
      }),
    );
  });

  it('has a circle exactly when some step can never be ready, and the circle is one', () => {
    fc.assert(
      fc.property(any, (graph) => {
        const cycle = cycleIn(graph);
        expect(cycle === undefined).toBe(levelsOf(graph).flat().length === graph.size);
        if (cycle === undefined) return;
        expect(cycle.length).toBeGreaterThan(1);
        expect(cycle[0]).toBe(cycle.at(-1));
        for (const [index, name] of cycle.slice(0, -1).entries()) {
          expect(graph.get(name)).toContain(cycle[index + 1]);
        }
      }),
    );
  });

  it('knows for each step all that must be complete before it', () => {
    fc.assert(
      fc.property(acyclic, (graph) => {
        const reach = (name: string): Set<string> =>
          new Set((graph.get(name) ?? []).flatMap((next) => [next, ...reach(next)]));
        const ancestors = ancestorsIn(graph);
        for (const name of graph.keys()) {
          expect([...ancestors.get(name)!].sort()).toEqual([...reach(name)].sort());
        }
      }),
    );
  });

  it('falls into parts between which there is no dependency', () => {
    fc.assert(
      fc.property(any, (graph) => {
        const parts = componentsOf(graph);
        expect(parts.flat().sort()).toEqual([...graph.keys()].sort());
        for (const [name, dependencies] of graph) {
          const part = parts.find((names) => names.includes(name));
          for (const dependency of dependencies) expect(part).toContain(dependency);
        }
      }),
    );
  });

  it('bears a hundred thousand steps in a row', () => {
    const names = Array.from({ length: 100_000 }, (_, index) => `n${index}`);
    const chain: Graph = new Map(
      // Declared from the end, so that a search that follows dependencies goes all the way down.
      names.map((name, index) => [name, index + 1 < names.length ? [names[index + 1]!] : []]),
    );
    expect(cycleIn(chain)).toBeUndefined();
    expect(topologicalOrder(chain)[0]).toBe('n99999');
    expect(componentsOf(chain)).toHaveLength(1);
    expect(dependentsIn(chain).get('n1')).toEqual(['n0']);
  });
});
