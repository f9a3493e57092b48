import type { TaskRef } from './saga-entry.js';

/**
 * The idempotency key of a task, `<saga>:<step>[:<item>]`: the same on every attempt. A compensation has
 * the key of its step, since it undoes the effect of that key; a recovery is another effect and has a key
 * of its own, `<saga>:<step>:recovery[:<item>]`. Other systems store these keys, so the format never
 * changes.
 *
 * No step runs again after its undo. If one ever does, it needs another key, because participants refuse a
 * key that was undone. The end `#<generation>` is kept for that: no item contains `#`, and participants
 * take a key that ends so for another one.
 *
 * @param named the item that a command of the task names; null: none
 */
export function taskKeyOf(
  sagaId: string,
  { role, step, item }: TaskRef,
  named: string | null = null,
): string {
  let key = role === 'recovery' ? `${sagaId}:${step}:recovery` : `${sagaId}:${step}`;
  if (item !== null) key = `${key}:${item}`;
  return named === null ? key : `${key}:${named}`;
}
