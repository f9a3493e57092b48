import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Carries out one disturbance after the other until the signal says stop: each kind once in a random
 * order, then all of them again. Between two there is a pause of half to one and a half `pauseMs`.
 */
export async function inTurn<Kind>(
  kinds: readonly Kind[],
  carryOut: (kind: Kind) => Promise<void>,
  { random, pauseMs }: { readonly random: () => number; readonly pauseMs: number },
  signal: AbortSignal,
): Promise<void> {
  const due: Kind[] = [];
  while (!signal.aborted) {
    if (due.length === 0) due.push(...shuffled(kinds, random));
    const kind = due.pop();
    if (kind === undefined) return;
    await carryOut(kind);
    await sleep(pauseMs * (0.5 + random()), undefined, { signal }).catch(() => undefined);
  }
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const left = [...list];
  const result: T[] = [];
  while (left.length > 0) result.push(...left.splice(Math.floor(random() * left.length), 1));
  return result;
}
