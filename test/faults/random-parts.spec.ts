import { describe, expect, it } from 'vitest';
import { inTurn } from './src/processes/index.js';
import { HeldOutside } from './src/random/held-outside.js';

describe('disturbances in turn', () => {
  it('are each carried out once before one comes again, and end with the signal', async () => {
    const kinds = ['kill', 'freeze', 'cut'] as const;
    const done: string[] = [];
    const calm = new AbortController();
    const carryOut = (kind: string): Promise<void> => {
      done.push(kind);
      if (done.length === 7) calm.abort();
      return Promise.resolve();
    };
    await inTurn(kinds, carryOut, { random: Math.random, pauseMs: 0 }, calm.signal);
    expect(done).toHaveLength(7);
    for (const round of [done.slice(0, 3), done.slice(3, 6)]) {
      expect(round.toSorted()).toEqual([...kinds].sort());
    }
  });
});

describe('the world outside of all processes', () => {
  const world = (): HeldOutside => new HeldOutside(Math.random, () => undefined);
  const called = (key: string, due = key) =>
    ({ what: 'called', saga: 'trial-1-0', task: 'step a', key, due }) as const;

  it('refuses a key after its undo, whichever process asks', () => {
    const held = world();
    expect(held.answer({ what: 'apply', key: 'k' }).refusal).toBeNull();
    held.answer({ what: 'undo', key: 'k' });
    expect(held.answer({ what: 'apply', key: 'k' }).refusal).toBe('undone');
    expect(held.outside.applied.has('k')).toBe(false);
  });

  it('counts the calls of a task over all processes, and keeps a key that was not due', () => {
    const held = world();
    expect(held.answer(called('k')).value).toBe(0);
    expect(held.answer(called('other', 'k')).value).toBe(1);
    expect(held.wrongKeys.get('trial-1-0')).toEqual(['other']);
  });
});
