/** Nodes by name, each with the names of the nodes it depends on, in the order of declaration. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/** A circle of dependencies, as a path that ends where it begins; undefined if there is none. */
export function cycleIn(graph: Graph): readonly string[] | undefined {
  const done = new Set<string>();
  for (const start of graph.keys()) {
    // The search keeps its own stack, because recursion through a saga of ten thousand steps in a row
    // would overflow.
    const path: { readonly name: string; next: number }[] = [{ name: start, next: 0 }];
    const onPath = new Set([start]);
    while (path.length > 0) {
      const top = path[path.length - 1];
      if (top === undefined || done.has(top.name)) {
        if (top !== undefined) onPath.delete(top.name);
        path.pop();
        continue;
      }
      const dependency = (graph.get(top.name) ?? [])[top.next];
      if (dependency === undefined) {
        done.add(top.name);
        onPath.delete(top.name);
        path.pop();
        continue;
      }
      top.next += 1;
      if (onPath.has(dependency)) {
        const names = path.map(({ name }) => name);
        return [...names.slice(names.indexOf(dependency)), dependency];
      }
      if (!done.has(dependency) && graph.has(dependency)) {
        path.push({ name: dependency, next: 0 });
        onPath.add(dependency);
      }
    }
  }
  return undefined;
}

/** For each node, the nodes that depend on it directly. */
export function dependentsIn(graph: Graph): ReadonlyMap<string, readonly string[]> {
  const dependents = new Map<string, string[]>();
  for (const name of graph.keys()) dependents.set(name, []);
  for (const [name, dependencies] of graph) {
    for (const dependency of dependencies) dependents.get(dependency)?.push(name);
  }
  return dependents;
}

/**
 * All nodes, each after the nodes it depends on; otherwise in the order of declaration. Needs a graph
 * without circles.
 */
export function topologicalOrder(graph: Graph): readonly string[] {
  return levelsOf(graph).flat();
}

/**
 * Nodes grouped by the longest path that leads to them. Nodes that can never be ready, because of a
 * circle or a missing node, are left out.
 */
export function levelsOf(graph: Graph): readonly (readonly string[])[] {
  const dependents = dependentsIn(graph);
  const open = new Map<string, number>();
  for (const [name, dependencies] of graph) open.set(name, dependencies.length);
  const levels: string[][] = [];
  let ready = [...graph.keys()].filter((name) => open.get(name) === 0);
  const declared = new Map([...graph.keys()].map((name, index) => [name, index]));
  while (ready.length > 0) {
    levels.push(ready);
    const next: string[] = [];
    for (const name of ready) {
      for (const dependent of dependents.get(name) ?? []) {
        const left = (open.get(dependent) ?? 0) - 1;
        open.set(dependent, left);
        if (left === 0) next.push(dependent);
      }
    }
    ready = next.sort((a, b) => (declared.get(a) ?? 0) - (declared.get(b) ?? 0));
  }
  return levels;
}

/** For each node, all nodes it depends on, directly or not. Needs a graph without circles. */
export function ancestorsIn(graph: Graph): ReadonlyMap<string, ReadonlySet<string>> {
  const ancestors = new Map<string, Set<string>>();
  for (const name of topologicalOrder(graph)) {
    const mine = new Set<string>();
    for (const dependency of graph.get(name) ?? []) {
      mine.add(dependency);
      for (const ancestor of ancestors.get(dependency) ?? []) mine.add(ancestor);
    }
    ancestors.set(name, mine);
  }
  return ancestors;
}

/** The parts of the graph that have no dependency between them, in the order of declaration. */
export function componentsOf(graph: Graph): readonly (readonly string[])[] {
  const dependents = dependentsIn(graph);
  const seen = new Set<string>();
  const components: string[][] = [];
  for (const start of graph.keys()) {
    if (seen.has(start)) continue;
    const component = new Set([start]);
    // A set is iterated in the order of insertion, and values that are added during the iteration are
    // included.
    for (const name of component) {
      seen.add(name);
      for (const near of [...(graph.get(name) ?? []), ...(dependents.get(name) ?? [])]) {
        if (graph.has(near)) component.add(near);
      }
    }
    components.push([...graph.keys()].filter((name) => component.has(name)));
  }
  return components;
}
