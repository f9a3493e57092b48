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
