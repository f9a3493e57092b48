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
    { unwanted: unwanted.signal },
  );
  const second = limit
    .run(() => Promise.resolve(log.push('second')), { unwanted: unwanted.signal })
    .catch((error: unknown) => error);
  const third = limit.run(() => Promise.resolve(log.push('third')));
  unwanted.abort();
  expect(await second).toBeInstanceOf(Error);
  end();
  await first;
  await third;
  expect(log).toEqual(['third']);
  await expect(limit.run(() => Promise.resolve(), { unwanted: unwanted.signal })).rejects.toThrow();
  expect(await limit.run(() => Promise.resolve('free'))).toBe('free');
});

it('gives free places to handlers and steps in turns, so that a backlog of one kind leaves the other its half', async () => {
  const limit = new ConcurrencyLimit(1);
  const log: string[] = [];
  const first = await limit.reserve();
  const all = [
    ...Array.from({ length: 6 }, (_, n) =>
      limit.run(async () => void log.push(`handler ${String(n)}`)),
    ),
    ...Array.from({ length: 2 }, (_, n) =>
      limit.run(async () => void log.push(`step ${String(n)}`), { kind: 'steps' }),
    ),
  ];
  first.release();
  await Promise.all(all);
  expect(log).toEqual([
    'handler 0',
    'step 0',
    'handler 1',
    'step 1',
    ...[2, 3, 4, 5].map((n) => `handler ${String(n)}`),
  ]);
});

it('keeps a reserved place for the work that it is given to, and frees it once', async () => {
  const limit = new ConcurrencyLimit(1);
  const place = await limit.reserve({ kind: 'steps' });
  expect(place.waited).toBe(false);
  const log: string[] = [];
  const behind = limit.run(async () => void log.push('handler'));
  await limit.run(async () => void log.push('step'), { kind: 'steps', place });
  place.release();
  await behind;
  expect(log).toEqual(['step', 'handler']);
  const again = await limit.reserve();
  expect(again.waited).toBe(false);
  let more = false;
  void limit.reserve().then(() => (more = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(more).toBe(false);
});

it('frees a place that was kept for work which nobody wants any more', async () => {
  const limit = new ConcurrencyLimit(1);
  const place = await limit.reserve();
  const unwanted = AbortSignal.abort(new Error('too late'));
  await expect(limit.run(async () => 'never', { unwanted, place })).rejects.toThrow('too late');
  expect(await limit.run(async () => 'free')).toBe('free');
});
