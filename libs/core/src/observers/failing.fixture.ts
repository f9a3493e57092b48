/** How the methods of an observer or a logger fail. */
export type Failing = 'throws' | 'rejects' | 'cannot be read';

/** An observer or logger that fails in every method; `called` collects which were called. */
export function failing(how: Failing, called: string[]): object {
  const error = new Error('an observer that fails');
  return new Proxy(
    {},
    {
      get(_target, name): unknown {
        if (how === 'cannot be read') {
          called.push(String(name));
          throw error;
        }
        return (): unknown => {
          called.push(String(name));
          if (how === 'throws') throw error;
          return Promise.reject(error);
        };
      },
    },
  );
}

/** The same as a logger. */
export function failingLogger(how: Failing, called: string[]) {
  const made = failing(how, called);
  const at =
    (level: string) =>
    (...given: unknown[]): void => {
      const method: unknown = Reflect.get(made, level);
      if (typeof method === 'function') return Reflect.apply(method, made, given) as undefined;
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
