import type { Logger } from '../ports/index.js';
import { guardedCall } from './guarded-call.js';

/**
 * The same observer, whose methods never throw and leave no rejected promise. Each failure is logged, with
 * the name of the method.
 *
 * @param what - names the observer at the beginning of a sentence: `The observer of the engine`
 */
export function guardedObserver<T extends object>(what: string, observer: T, logger: Logger): T {
  return new Proxy(observer, {
    get(target, name): unknown {
      const failed = (error: unknown): void => {
        logger.error(
          `${what} failed in '${String(name)}'; what it was told of goes on.`,
          {},
          error,
        );
      };
      let method: unknown;
      try {
        method = Reflect.get(target, name, target);
      } catch (error) {
        failed(error);
        return () => undefined;
      }
      if (typeof method !== 'function') return method;
      const called = method;
      return (...given: unknown[]): unknown =>
        guardedCall((): unknown => Reflect.apply(called, target, given), failed);
    },
  });
}
