export interface Refusing<T> {
  /** The target, except that it refuses the chosen methods. */
  readonly value: T;
  /** Has these methods refused from now on, as a database does for a role without a grant. */
  refuse(...methods: (keyof T)[]): void;
  /** Ends all refusals. */
  grant(): void;
  /** The number of calls that were refused. */
  refused(): number;
}

type Call = (...args: unknown[]) => unknown;

/** Wraps a store so that it refuses some of its methods until it is told to stop. */
export function refusing<T extends object>(target: T): Refusing<T> {
  const methods = new Set<PropertyKey>();
  let count = 0;
  const value = new Proxy(target, {
    get(_target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        if (!methods.has(name)) return (member as Call).apply(target, args);
        count += 1;
        return Promise.reject(
          Object.assign(new Error(`permission denied for ${String(name)}`), {
            code: '42501',
            severity: 'ERROR',
          }),
        );
      };
    },
  });
  return {
    value,
    refuse: (...names) => {
      for (const name of names) methods.add(name);
    },
    grant: () => methods.clear(),
    refused: () => count,
  };
}
