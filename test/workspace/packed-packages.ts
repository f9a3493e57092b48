import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A package as `npm publish` would send it. */
export interface PackedPackage {
  readonly name: string;
  readonly folder: string;
  readonly tarball: string;
  /** Paths of the files inside, without the leading `package/`. */
  readonly files: readonly string[];
  /** The names that can be imported: `@sagaz/core`, `@sagaz/core/memory`, … */
  readonly entries: readonly string[];
}

export const repository = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Packs every library into `destination`. They must have been built. */
export async function packLibraries(destination: string): Promise<PackedPackage[]> {
  await mkdir(destination, { recursive: true });
  const names = await readdir(join(repository, 'libs'));
  return Promise.all(names.map((name) => pack(join(repository, 'libs', name), destination)));
}

async function pack(folder: string, destination: string): Promise<PackedPackage> {
  const output = await run('npm', ['pack', '--json', '--pack-destination', destination], folder);
  const answer = JSON.parse(output.slice(output.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ];
  const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    exports: Record<string, unknown>;
  };
  return {
    name: manifest.name,
    folder,
    tarball: join(destination, answer[0].filename),
    files: answer[0].files.map(({ path }) => path),
    entries: Object.keys(manifest.exports)
      .filter((entry) => entry !== './package.json')
      .map((entry) => manifest.name + entry.slice(1)),
  };
}

/** An empty folder that no `node_modules` above it can help. */
export async function emptyFolder(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), 'sagaz-consumer-')));
}

/** Writes a package.json with these dependencies and installs them, from npm's cache if it can. */
export async function installInto(
  folder: string,
  manifest: { readonly type: 'module' | 'commonjs'; readonly dependencies: Record<string, string> },
): Promise<void> {
  const text = JSON.stringify({ name: 'consumer', private: true, ...manifest }, null, 2);
  await writeFile(join(folder, 'package.json'), text);
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--silent'], folder);
}

/**
 * Runs a command to its end and gives what it printed.
 *
 * @throws Error with everything it printed when it fails.
 */
export function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${command} ${args.join(' ')} failed\n${stdout}${stderr}`));
    });
  });
}

/**
 * Compiles the folder's tsconfig.json. `typescript7` is the fast one; `typescript`, the version
 * before, still knows the old ways of resolving.
 */
export function compile(
  folder: string,
  compiler: 'typescript' | 'typescript7' = 'typescript7',
): Promise<string> {
  const path = join(repository, 'node_modules', compiler, 'bin/tsc');
  return run(process.execPath, [path, '-p', '.', '--pretty', 'false'], folder);
}
