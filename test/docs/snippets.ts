import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const repository = fileURLToPath(new URL('../../', import.meta.url));
const run = promisify(execFile);

/** A page as it stands in the repository. */
export function readPage(page: string): Promise<string> {
  return readFile(join(repository, page), 'utf8');
}

/** TypeScript blocks of a page by the file name in their first line, which every block must have. */
export async function snippetsOf(page: string): Promise<ReadonlyMap<string, string>> {
  const text = await readPage(page);
  const files = new Map<string, string>();
  for (const [, code] of text.matchAll(/^```ts\n([\s\S]*?)^```/gm)) {
    const name = /^\/\/ (\S+\.ts)\n/.exec(code ?? '')?.[1];
    if (name === undefined) {
      throw new Error(`A snippet of ${page} names no file: ${code?.slice(0, 60) ?? ''}`);
    }
    if (files.has(name)) throw new Error(`Two snippets of ${page} are called ${name}.`);
    files.set(name, code ?? '');
  }
  return files;
}

/** Files that a compiler was let loose on. */
export interface Compiled {
  readonly folder: string;
  remove(): Promise<void>;
}

/**
 * Compiles files, by their names, as a user's application would be; throws what the compiler says.
 * They stand inside the workspace, so that its packages and their types are found as a user's are.
 */
export async function compile(files: ReadonlyMap<string, string>): Promise<Compiled> {
  const folder = await mkdtemp(join(repository, 'test', 'docs', '.snippets-'));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  for (const [name, code] of files) {
    const file = join(folder, name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, code);
  }
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../../tsconfig.base.json',
      compilerOptions: { outDir: 'dist', declaration: false, declarationMap: false },
      include: ['**/*.ts'],
    }),
  );
  try {
    const compiler = join(repository, 'node_modules/typescript7/bin/tsc');
    await run(process.execPath, [compiler, '-p', folder], { cwd: folder });
  } catch (error) {
    await remove();
    const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : '';
    const place = relative(repository, folder);
    throw new Error(`The snippets in ${place} do not compile:\n${said}`, { cause: error });
  }
  return { folder, remove };
}
