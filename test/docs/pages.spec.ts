import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { promisify } from 'node:util';
import { FACT_KINDS } from '@sagaz/core';
import { ENVIRONMENT } from '@sagaz/nestjs';
import { SagazMetricsModule } from '@sagaz/nestjs/metrics';
import { describe, expect, it } from 'vitest';
import { compile, readPage, repository, snippetsOf } from './snippets.js';

const run = promisify(execFile);
const commandLine = join(repository, 'libs/cli/bin/sagaz.js');

async function pagesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(repository, folder), { recursive: true });
  return entries.filter((name) => name.endsWith('.md')).map((name) => posix.join(folder, name));
}

async function allPages(): Promise<readonly string[]> {
  const libraries = await readdir(join(repository, 'libs'));
  return [
    'README.md',
    ...(await pagesIn('docs')),
    ...libraries.map((library) => `libs/${library}/README.md`),
  ];
}

/** The matches of the pattern in a page: each once, in alphabetical order. */
function named(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([found]) => found))].sort();
}

/** Names of the metrics that the module hands to prom-client. */
function registeredMetrics(): string[] {
  const providers: unknown = Reflect.getMetadata('providers', SagazMetricsModule);
  if (!Array.isArray(providers)) return [];
  return providers
    .flatMap((provider: unknown) => {
      if (typeof provider !== 'object' || provider === null) return [];
      const token: unknown = Reflect.get(provider, 'provide');
      return typeof token === 'string' ? [token] : [];
    })
    .map((token) => token.replace(/^PROM_METRIC_/i, '').toLowerCase())
    .sort();
}

describe('the documentation', () => {
  it('compiles, snippet for snippet, and the tests it shows pass', async () => {
    const files = new Map<string, string>();
    for (const page of await allPages()) {
      // The README is compiled and run by a spec of its own.
      if (page === 'README.md') continue;
      for (const [name, code] of await snippetsOf(page)) {
        files.set(join(page.replace(/\.md$/, '').replaceAll('/', '-'), name), code);
      }
    }
    expect(files.size).toBeGreaterThan(0);
    const { folder, remove } = await compile(files);
    try {
      // The snippets of the guide to testing are tests: they must pass, too.
      const specs = [...files].filter(([, code]) => code.includes(`from 'node:test'`));
      expect(specs).not.toEqual([]);
      const built = specs.map(([name]) => join(folder, 'dist', name.replace(/\.ts$/, '.js')));
      // node:test would take itself for a part of a run of its own that surrounds it.
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      await run(process.execPath, ['--test', ...built], { env }).catch((error: unknown) => {
        const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
        throw new Error(`Tests of the documentation fail:\n${said}`, { cause: error });
      });
    } finally {
      await remove();
    }
  }, 120_000);

  it('links to what exists', async () => {
    for (const page of await allPages()) {
      const text = await readPage(page);
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
        const file = join(repository, dirname(page), target);
        await expect(
          readFile(file).catch((error: unknown) =>
            // A folder is a place, too.
            error instanceof Error && 'code' in error && error.code === 'EISDIR' ? '' : null,
          ),
          `${page} links to ${target}`,
        ).resolves.not.toBeNull();
      }
    }
  });

  it('has npx fetch nothing but packages that are meant', async () => {
    // `npx nest` outside of a Nest project is somebody else's package.
    for (const page of await allPages()) {
      const fetched = named(await readPage(page), /\bnpx [^\s`]+( new)?/g);
      const meant = ['npx @nestjs/cli new', 'npx nest', 'npx sagaz'];
      expect(meant, page).toEqual(expect.arrayContaining(fetched));
    }
  });

  it('names exactly the variables that set an option', async () => {
    const options = await readPage('docs/reference/options.md');
    const known = ENVIRONMENT.map(({ variable }) => variable).sort();
    expect(named(options, /\bSAGAZ_[A-Z_]+\b/g)).toEqual(known);
  });

  it('names each variable in the line of the option it sets', async () => {
    const lines = (await readPage('docs/reference/options.md')).split('\n');
    for (const { variable, option } of ENVIRONMENT) {
      const line = lines.find((one) => one.startsWith('|') && one.includes(`\`${variable}\``));
      expect(line, variable).toContain(`\`${option}\``);
    }
  });

  it('names exactly the kinds of facts that an engine tells', async () => {
    const page = await readPage('docs/reference/facts.md');
    const kinds = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, kind]) => kind);
    expect(kinds).toEqual(FACT_KINDS);
  });

  it('names exactly the metrics that are registered', async () => {
    const operations = await readPage('docs/guides/operations.md');
    const metrics = registeredMetrics();
    expect(metrics.length).toBeGreaterThan(0);
    expect(
      named(
        operations,
        /\bsagaz_(?:saga|engine|outbox|relay|inbox|store|broker|process|unserved|database)_[a-z_]+\b/g,
      ),
    ).toEqual(metrics);
  });

  it('names every command of the command line, its options and its exit codes', async () => {
    const page = await readPage('docs/reference/cli.md');
    const help = async (...args: string[]): Promise<string> =>
      (await run(process.execPath, [commandLine, ...args, '--help'])).stdout;
    const namesIn = (text: string): string[] =>
      [...text.matchAll(/^ {2}([a-z]+)(?: \[options\]| <[a-z]+>)* {2,}\S/gm)]
        .map(([, name = '']) => name)
        .filter((name) => name !== 'help');
    const commands = namesIn(await help());
    expect(commands).toContain('migrate');
    expect(named(page, /^## `sagaz ([a-z]+)`/gm).sort()).toEqual(
      commands.map((name) => `## \`sagaz ${name}\``).sort(),
    );
    for (const command of commands) {
      const own = await help(command);
      const texts = [own, ...(await Promise.all(namesIn(own).map((name) => help(command, name))))];
      for (const option of named(texts.join('\n'), /--[a-z]+/g)) {
        if (option !== '--help') expect(page, command).toContain(`\`${option}`);
      }
      for (const name of namesIn(own)) expect(page).toContain(`npx sagaz ${command} ${name}`);
    }
  });

  it('names every kind of entry of the journal, and nothing that is none', async () => {
    const page = await readPage('docs/reference/journal.md');
    const formats = await readPage('libs/core/src/engine/journal/entry-format.ts');
    const kindsOf = (record: string): string[] => {
      const [, body = ''] = new RegExp(`const ${record}[^{]*\\{([^}]*)\\}`).exec(formats) ?? [];
      return [...body.matchAll(/^ {2}(\w+): \d/gm)].map(([, kind = '']) => kind);
    };
    const kinds = [
      ...kindsOf('TASK_FORMATS').map((kind) => `…_${kind}`),
      ...kindsOf('WHOLE_FORMATS'),
    ];
    expect(kinds.length).toBeGreaterThan(10);
    const rows = [...page.matchAll(/^\| `(\S+)` \|/gm)].map(([, kind = '']) => kind);
    expect(rows.sort()).toEqual(kinds.sort());
  });

  it('names every table and every view of the migrations', async () => {
    const page = await readPage('docs/reference/tables.md');
    for (const folder of ['migrations', 'migrations/broker']) {
      const files = (await readdir(join(repository, folder))).filter((name) =>
        name.endsWith('.sql'),
      );
      for (const file of files) {
        const sql = await readFile(join(repository, folder, file), 'utf8');
        for (const [, name = ''] of sql.matchAll(/^CREATE (?:TABLE|VIEW) sagaz\.(\w+)/gm)) {
          expect(page, file).toContain(`\`${name}\``);
        }
      }
    }
  });
});
