import { expect, it } from 'vitest';
import { ConcurrencyLimit } from './concurrency-limit.js';

it('lets as many run as it says, the others in the order they came, also after failures', async () => {
  const limit = new ConcurrencyLimit(2);
  const log: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const start = (name: string): Promise<unknown> =>
    limit
      .run(() => {
        log.push(name);
        return new Promise<void>((resolve, reject) => {
          ends.set(name, (error) => {
            if (error === undefined) resolve();
            else reject(error);
          });
        });
      })
      .catch((error: unknown) => error);
  const all = ['a', 'b', 'c', 'd'].map(start);
  expect(log).toEqual(['a', 'b']);
  ends.get('b')?.(new Error('failed'));
  await all[1];
  expect(log).toEqual(['a', 'b', 'c']);
  ends.get('a')?.();
  await all[0];
  expect(log).toEqual(['a', 'b', 'c', 'd']);
  ends.get('c')?.();
  ends.get('d')?.();
  await Promise.all(all);
});

it('lets go of what nobody wants any more while it waits, and of nothing that runs', async () => {
  const limit = new ConcurrencyLimit(1);
  const log: string[] = [];
  let end = (): void => undefined;
  const unwanted = new AbortController();
  const first = limit.run(
    () =>
      new Promise<void>((resolve) => {
        end = resolve;
      }),
    unwanted.signal,
  );
  const second = limit
    .run(() => Promise.resolve(log.push('second')), unwanted.signal)
    .catch((error: unknown) => error);
  const third = limit.run(() => Promise.resolve(log.push('third')));
  unwanted.abort();
  expect(await second).toBeInstanceOf(Error);
  end();
  await first;
  await third;
  expect(log).toEqual(['third']);
  await expect(limit.run(() => Promise.resolve(), unwanted.signal)).rejects.toThrow();
  expect(await limit.run(() => Promise.resolve('free'))).toBe('free');
});
