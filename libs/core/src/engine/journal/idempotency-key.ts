import type { TaskRef } from './saga-entry.js';

/**
 * `<saga>:<step>[:<item>][#<generation>]`: the same on every attempt and for the compensation. A run
 * after an undo raises the generation, because parties refuse a key that was undone. Other people's
 * systems store it: the format never changes.
 */
export function idempotencyKeyOf(
  sagaId: string,
  step: string,
  generation: number,
  item: string | null = null,
): string {
  const named = item === null ? `${sagaId}:${step}` : `${sagaId}:${step}:${item}`;
  return generation === 0 ? named : `${named}#${generation}`;
}

/**
 * The key of a task. A compensation has its step's, since it undoes what was done under that key; a
 * recovery is another effect and has its own.
 */
export function taskKeyOf(
  sagaId: string,
  ref: TaskRef,
  generation: number,
  item: string | null = null,
): string {
  const part = ref.role === 'recovery' ? (item === null ? 'recovery' : `recovery:${item}`) : item;
  return idempotencyKeyOf(sagaId, ref.step, generation, part);
}
