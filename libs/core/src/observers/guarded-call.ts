import { propertyOf } from '../errors/index.js';

/**
 * Calls code of the user that only has to hear of something. What it throws, and what the promise rejects with
 * that it may return, goes to `failed` and no further: the work that is observed goes on, and no rejection
 * stays unhandled.
 */
export function guardedCall(call: () => unknown, failed: (error: unknown) => void): unknown {
  try {
    const result = call();
    if (typeof propertyOf(result, 'then') === 'function') {
      void Promise.resolve(result).then(undefined, failed);
    }
    return result;
  } catch (error) {
    failed(error);
    return undefined;
  }
}
