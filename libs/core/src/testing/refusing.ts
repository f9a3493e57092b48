export interface Refusing<T> {
  /** Like the target, but for what it refuses. */
  readonly value: T;
  /** From now on these methods are refused, as a database refuses a role that lacks a grant. */
  refuse(...methods: (keyof T)[]): void;
  /** Nothing is refused any more. */
  grant(): void;
  /** How often something was refused. */
  refused(): number;
}

type Call = (...args: unknown[]) => unknown;

/** A store that refuses some of its methods until it is told not to. */
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
