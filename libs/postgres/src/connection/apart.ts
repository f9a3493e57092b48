import { isDataError } from './sql-state.js';

/**
 * Runs a statement for many items. If the database refuses it because of the data of one item, it is
 * run for halves of them, and so on, until the item at fault is alone. That item gets an outcome of its
 * own, and the others go on.
 *
 * @param run one statement for several items; its answers are in their order
 * @param alone the outcome of one item whose data is refused
 */
export async function apart<T, R>(
  items: readonly T[],
  run: (part: readonly T[]) => Promise<readonly R[]>,
  alone: (item: T, error: unknown) => R | Promise<R>,
): Promise<readonly R[]> {
  try {
    return await run(items);
  } catch (error) {
    const [only] = items;
    if (only === undefined || !isDataError(error)) throw error;
    if (items.length === 1) return [await alone(only, error)];
    const middle = Math.ceil(items.length / 2);
    return [
      ...(await apart(items.slice(0, middle), run, alone)),
      ...(await apart(items.slice(middle), run, alone)),
    ];
  }
}
