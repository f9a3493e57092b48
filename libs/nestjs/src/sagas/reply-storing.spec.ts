import { newId, type NewMail, type StoreFailure } from '@sagaz/core';
import { MemoryStore } from '@sagaz/core/memory';
import { VirtualClock, refusing } from '@sagaz/core/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { ReplyStoring, type ReplyKeeper } from './reply-storing.js';

describe('replies that their store does not take', () => {
  let clock: VirtualClock;
  let lines: string[];
  let failures: (readonly [string, StoreFailure])[];
  let storing: ReplyStoring;
  beforeEach(() => {
    clock = new VirtualClock();
    lines = [];
    failures = [];
    const say = (line: string): void => void lines.push(line);
    storing = new ReplyStoring({
      clock,
      logger: { debug: say, info: say, warn: say, error: say },
      onFailure: (connection, failure) => failures.push([connection, failure]),
      random: () => 0,
    });
  });

  function keeper(name: string) {
    const { sagas, wakeUps } = new MemoryStore({ clock });
    const store = refusing(sagas);
    const connection: ReplyKeeper = { name, store: { sagas: store.value, wakeUps } };
    return { connection, store };
  }

  const mail = (n: number): NewMail => ({
    sagaId: newId(),
    kind: 'reply',
    dedupeKey: `reply:${String(n)}`,
    data: '{}',
  });

  it('wait together: one is tried after each pause, however many there are, and the process is unready', async () => {
    const { connection, store } = keeper('default');
    store.refuse('putMail');
    const waiting = Array.from({ length: 100 }, (_, n) => ({ mail: mail(n), attempt: 1, at: 0 }));
    const until = clock.now() + 60_000;
    // As a broker does: each is delivered again when its delay is over.
    while (clock.now() < until) {
      for (const one of waiting) {
        if (one.at > clock.now()) continue;
        const putOff = await storing.put(connection, one.mail, one.attempt);
        expect(putOff?.delayMs).toBeGreaterThan(0);
        one.at = clock.now() + (putOff?.delayMs ?? 0);
        one.attempt += 1;
      }
      await clock.advance(100);
    }
    expect(store.refused()).toBeLessThan(25);
    expect(failures.length).toBe(store.refused());
    expect(new Set(failures.map(String))).toEqual(new Set(['default,refused']));
    expect(storing.problem).toMatch(
      /^Storing replies by the connection 'default' fails: permission/,
    );
    expect(lines.length).toBeLessThan(4);

    store.grant();
    await clock.advance(20_000);
    for (const one of waiting) expect(await storing.put(connection, one.mail, 1)).toBeNull();
    expect(storing.problem).toBeNull();
  });

  it('do not hold up those of another store', async () => {
    const [first, second] = [keeper('first'), keeper('second')];
    first.store.refuse('putMail', 'get');
    expect(await storing.put(first.connection, mail(1), 1)).not.toBeNull();
    expect(await storing.has(first.connection, mail(1), 1)).toMatchObject({ delayMs: 250 });
    expect(await storing.has(second.connection, mail(2), 1)).toBe(false);
    expect(await storing.put(second.connection, mail(2), 1)).toBeNull();
  });

  it('do not hold up others where the store refuses only one of them', async () => {
    const { sagas, wakeUps } = new MemoryStore({ clock });
    const poison = mail(1);
    const connection: ReplyKeeper = {
      name: 'default',
      store: {
        wakeUps,
        sagas: {
          get: (id) => sagas.get(id),
          putMail: ([one]) =>
            one === poison
              ? Promise.reject(Object.assign(new Error('invalid byte'), { code: '22021' }))
              : Promise.resolve(),
        },
      },
    };
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      const putOff = await storing.put(connection, poison, attempt);
      delays.push(putOff?.delayMs ?? 0);
      expect(await storing.put(connection, mail(2), 1)).toBeNull();
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(lines).toHaveLength(8);
    expect(storing.problem).toBeNull();
  });
});
