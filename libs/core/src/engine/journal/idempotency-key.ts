import type { TaskRef } from './saga-entry.js';

/**
 * `<saga>:<step>[:<item>][#<generation>]`: the same on every attempt and for the compensation. An
 * attempt after an undo has the next generation, because participants refuse a key that was undone.
 * Other systems store these keys, so the format never changes.
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
 * The idempotency key of a task. A compensation has the key of its step, since it undoes the effect of
 * that key; a recovery is another effect and has a key of its own.
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
