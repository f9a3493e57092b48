import { ROLES, type Role, type TaskRef } from './saga-entry.js';

/** The values of one step, or of one item of a step. Replaced, never changed, so that copies share it. */
interface Place<Value> {
  readonly step: string;
  readonly item: string | null;
  readonly values: Readonly<Record<Role, Value | undefined>>;
}

/** A map whose keys are tasks. Its order is that in which steps and items came first, and that of `ROLES`. */
export class TaskMap<Value> implements Iterable<readonly [TaskRef, Value]> {
  readonly #places: Map<string, Place<Value>>;

  /** @param from the map to copy; default: none, the new one is empty */
  constructor(from?: TaskMap<Value>) {
    this.#places = new Map(from === undefined ? [] : from.#places);
  }

  get empty(): boolean {
    return this.#places.size === 0;
  }

  get(task: TaskRef): Value | undefined {
    return this.#places.get(keyOf(task))?.values[task.role];
  }

  set(task: TaskRef, value: Value): void {
    this.#put(task, value);
  }

  delete(task: TaskRef): void {
    if (this.get(task) !== undefined) this.#put(task, undefined);
  }

  *[Symbol.iterator](): Generator<readonly [TaskRef, Value]> {
    for (const { step, item, values } of this.#places.values()) {
      for (const role of ROLES) {
        const value = values[role];
        if (value !== undefined) yield [{ role, step, item }, value];
      }
    }
  }

  #put(task: TaskRef, value: Value | undefined): void {
    const { role, step, item } = task;
    const key = keyOf(task);
    const known = this.#places.get(key)?.values;
    // Each field is named, because a spread takes several times as long.
    const values = {
      step: role === 'step' ? value : known?.step,
      compensation: role === 'compensation' ? value : known?.compensation,
      recovery: role === 'recovery' ? value : known?.recovery,
    };
    if (ROLES.some((one) => values[one] !== undefined))
      this.#places.set(key, { step, item, values });
    else this.#places.delete(key);
  }
}

/**
 * The key of a step or of an item. That of a step without items is its name, which is at hand: a text that
 * is put together for a look has to be hashed first, and most looks are for such steps. The character NUL is
 * in no name of a step and in no item, since PostgreSQL stores none in a label.
 */
function keyOf({ step, item }: TaskRef): string {
  return item === null ? step : `${step}\0${item}`;
}
