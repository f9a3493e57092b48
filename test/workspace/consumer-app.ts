import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { repository } from './packed-packages.js';

/** Puts the consumer's source into an application outside the repository. */
export async function copyConsumer(folder: string): Promise<void> {
  await copyFile(join(repository, 'test/workspace/consumer/main.ts'), join(folder, 'main.ts'));
}

/** Puts the application that counts its round trips there instead. */
export async function copyRoundTrips(folder: string): Promise<void> {
  const source = join(repository, 'test/workspace/consumer/round-trips.ts');
  const text = (await readFile(source, 'utf8')).replace(
    '@sagaz/test-support',
    './counting-proxy.js',
  );
  await writeFile(join(folder, 'main.ts'), text);
  const proxy = join(repository, 'test/support/src/counting-proxy.ts');
  await copyFile(proxy, join(folder, 'counting-proxy.ts'));
}

/** Runs the compiled consumer on a database of its own and gives the lines it printed. */
export function runConsumer(folder: string, databaseUrl: string): Promise<string[]> {
  const env = { ...process.env, DATABASE_URL: databaseUrl };
  return new Promise((resolve, reject) => {
    const args = ['--no-warnings', '--enable-source-maps', 'main.js'];
    execFile(
      process.execPath,
      args,
      { cwd: folder, env, timeout: 100_000 },
      (error, out, problem) => {
        if (error === null) resolve(out.trim().split('\n'));
        else reject(new Error(`The application failed: ${out}${problem}`, { cause: error }));
      },
    );
  });
}

/** The line that the application prints when every check in it has passed. */
export const consumerSays = [
  'rolled back',
  'late: SAGAZ_TRANSACTION_ENDED',
  'heard both: true',
  'notes: 2',
  'closed',
];

/** The output of the application that counts its round trips: a message costs none. */
export const roundTripsSay = [
  'without Sagaz: 3',
  'with 0 messages: 2',
  'with 1 messages: 2',
  'with 3 messages: 2',
  'refused: 23514',
  'notes: 7',
];
