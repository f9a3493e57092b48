import { InvalidArgumentError, checkArguments, oneOfArgument, type OptionCheck } from '@sagaz/core';

type Side = 'outbox' | 'inbox';

export const sideArgument = oneOfArgument(['outbox', 'inbox'] satisfies Side[]);

/**
 * Makes the cursor that a caller keeps. It names its side, because outbox and inbox count positions
 * differently.
 */
export function cursorOf(side: Side, place: string): string {
  return `${side}:${place}`;
}

/** Reads the position from a cursor of this side. @throws InvalidArgumentError */
export function placeOf(side: Side, cursor: unknown): string {
  if (typeof cursor === 'string' && cursor.startsWith(`${side}:`)) {
    return cursor.slice(side.length + 1);
  }
  throw new InvalidArgumentError(
    'DeadLetters.list',
    'after',
    cursor,
    `Give the cursor of the last dead letter that was listed with side: '${side}', or leave it out.`,
  );
}

/** Checks a part of a message's name, which may hold any text that a store can hold. */
const part: OptionCheck = (call, name, value) => {
  // A text that no store can hold names no dead letter.
  if (typeof value === 'string' && !/\0|\p{Cs}/u.test(value)) return;
  throw new InvalidArgumentError(call, name, value, REMEDY);
};
const key: OptionCheck = (call, name, value) => {
  const parts = { tenant: part, group: part, source: part, id: part };
  checkArguments(`${call}, ${name}`, value, parts);
  for (const each of Object.keys(parts)) {
    part(call, `${name}.${each}`, Reflect.get(Object(value) as object, each));
  }
};
const REMEDY = 'Give the ref of a dead letter as DeadLetters.list shows it.';

/** The most refs of a call: as many as a page of the list has at most. */
const MOST_REFS = 1_000;

/** @throws InvalidArgumentError when a ref cannot name a dead letter, or there are too many */
export function checkRefs(call: string, refs: unknown): void {
  const remedy = `Give an array of at most ${MOST_REFS.toLocaleString('en')} refs, and call it again for more.`;
  if (!Array.isArray(refs)) throw new InvalidArgumentError(call, 'refs', refs, remedy);
  if (refs.length > MOST_REFS) {
    throw new InvalidArgumentError(call, 'refs.length', refs.length, remedy);
  }
  refs.forEach((ref: unknown, at) => checkRef(call, `refs[${at}]`, ref));
}

function checkRef(call: string, name: string, ref: unknown): void {
  if (typeof ref !== 'object' || ref === null) {
    throw new InvalidArgumentError(call, name, ref, REMEDY);
  }
  const side: unknown = Reflect.get(ref, 'side');
  sideArgument(call, `${name}.side`, side);
  part(call, `${name}.connection`, Reflect.get(ref, 'connection'));
  if (side === 'outbox') part(call, `${name}.id`, Reflect.get(ref, 'id'));
  else key(call, `${name}.key`, Reflect.get(ref, 'key'));
}
