import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readPage, repository } from './snippets.js';

const SAMPLES = ['order-service', 'inventory-service', 'payment-service', 'outbox-worker'];
/** What the samples cannot start without. */
const REQUIRED: Readonly<Record<string, string>> = {
  DATABASE_URL: 'postgres://h/d',
  BROKER_URL: 'postgres://h/b',
  OUTBOX_DATABASES: 'orders=postgres://h/o',
};

/** Each variable in the table of a sample's README, with the cell of its default. */
async function documented(sample: string): Promise<ReadonlyMap<string, string>> {
  const page = await readPage(`apps/${sample}/README.md`);
  return new Map(
    [...page.matchAll(/^\| `([A-Z_]+)` \| (.+?) \|/gm)].map(
      ([, name = '', standard = '']): [string, string] => [name, standard.replaceAll('`', '')],
    ),
  );
}

/** The variables in the schema of a sample's src/config.ts. */
async function read(sample: string): Promise<readonly string[]> {
  const source = await readFile(join(repository, 'apps', sample, 'src/config.ts'), 'utf8');
  return [...source.matchAll(/^ {2}([A-Z_]+):/gm)].map(([, name = '']) => name);
}

/** A sample's configuration where only what is required is set. */
async function defaults(sample: string): Promise<object> {
  const file = pathToFileURL(join(repository, 'apps', sample, 'src/config.ts')).href;
  const { readConfig } = (await import(file)) as { readConfig(environment: object): object };
  return readConfig(REQUIRED);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

describe.each(SAMPLES)('the README of the sample %s', (sample) => {
  it('lists each variable that the sample reads, and no other', async () => {
    expect([...(await documented(sample)).keys()].sort()).toEqual([...(await read(sample))].sort());
  });

  it('tells their defaults', async () => {
    const config = await defaults(sample);
    for (const [name, standard] of await documented(sample)) {
      const value: unknown = Reflect.get(config, name);
      if (name in REQUIRED) expect([name, standard]).toEqual([name, 'required']);
      else if (value === undefined) expect(standard).toMatch(/^none: /);
      else expect([name, standard]).toEqual([name, shown(value)]);
    }
  });

  it('names only scripts that its package has', async () => {
    const page = await readPage(`apps/${sample}/README.md`);
    const text = await readFile(join(repository, 'apps', sample, 'package.json'), 'utf8');
    const { scripts } = JSON.parse(text) as { scripts: Record<string, string> };
    const ofOthers = sample === 'outbox-worker' ? ['migrate'] : [];
    for (const [, name = ''] of page.matchAll(/npm run ([\w:]+)/g)) {
      expect([...Object.keys(scripts), ...ofOthers]).toContain(name);
    }
  });
});

it('every sample is looked at', async () => {
  expect((await readdir(join(repository, 'apps'))).sort()).toEqual([...SAMPLES].sort());
});
