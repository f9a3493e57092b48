/**
 * An object whose calls can be made to fail or never to be answered, as after the death of its
 * process.
 */
export interface Severed<T> {
  readonly value: T;
  /** From now on no call is carried out or answered. */
  kill(): void;
  /**
   * The next call of the method fails with this error, once; with `after`, after it has been carried
   * out.
   */
  failNext(method: keyof T, error: Error, when?: 'before' | 'after'): void;
  /**
   * Calls of the method wait until the returned function is called: before they are carried out, or
   * after that, with the answer they had then.
   */
  holdNext(method: keyof T, when?: 'before' | 'after'): () => void;
}

type Call = (...args: readonly unknown[]) => unknown;

/** Wraps an object so that a test can fail, hold or cut off its calls. */
export function severable<T extends object>(target: T): Severed<T> {
  let dead = false;
  const failures = new Map<PropertyKey, { error: Error; when: 'before' | 'after' }>();
  const holds = new Map<PropertyKey, { gate: Promise<void>; when: 'before' | 'after' }>();
  const never = new Promise<never>(() => undefined);

  async function call(name: PropertyKey, method: Call, args: readonly unknown[]): Promise<unknown> {
    if (dead) return never;
    const hold = holds.get(name);
    if (hold?.when === 'before') await hold.gate;
    const failure = failures.get(name);
    failures.delete(name);
    if (failure?.when === 'before') throw failure.error;
    const answer = await method.apply(target, [...args]);
    if (hold?.when === 'after') await hold.gate;
    // The call was carried out before the process died, but the answer is lost.
    if (dead as boolean) return never;
    if (failure !== undefined) throw failure.error;
    return answer;
  }

  const value = new Proxy(target, {
    get(_target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => call(name, member as Call, args);
    },
  });
  return {
    value,
    kill: () => (dead = true),
    failNext: (method, error, when = 'before') => void failures.set(method, { error, when }),
    holdNext: (method, when = 'before') => {
      let go: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => {
        go = () => {
          holds.delete(method);
          resolve();
        };
      });
      holds.set(method, { gate, when });
      return go;
    },
  };
}
