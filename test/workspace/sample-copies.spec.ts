import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repository } from './packed-packages.js';

/** Each sample service has its own copy, so that it can be copied alone; the copies must agree. */
it('gives every sample service the same contracts', async () => {
  const seen = new Map<string, { readonly service: string; readonly text: string }>();
  let compared = 0;
  for (const service of ['order-service', 'inventory-service', 'payment-service']) {
    const folder = join(repository, 'apps', service, 'src/contracts');
    for (const file of (await readdir(folder)).filter((name) => name !== 'index.ts')) {
      const text = await readFile(join(folder, file), 'utf8');
      const first = seen.get(file);
      if (first === undefined) seen.set(file, { service, text });
      else {
        compared += 1;
        expect(text, `${file} of ${service} and of ${first.service}`).toBe(first.text);
      }
    }
  }
  expect(compared).toBeGreaterThan(0);
});

/** The guard decides who may change prices and stock: a mend of one copy must not miss the other. */
it('gives both sample services with an administration the same guard', async () => {
  const [order, inventory] = await Promise.all(
    ['order-service', 'inventory-service'].map((service) =>
      readFile(join(repository, 'apps', service, 'src/admin.guard.ts'), 'utf8'),
    ),
  );
  expect(inventory).toBe(order);
});
