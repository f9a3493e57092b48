import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from './free-port.js';

/** A running PgBouncer in transaction mode that belongs to this process and ends with it. */
export interface PgBouncer {
  /** The given url, through PgBouncer. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Why no PgBouncer can be used here; undefined if one can. */
export function pgBouncerMissing(): string | undefined {
  return binary() === undefined
    ? 'no pgbouncer in PATH or /usr/sbin; on Debian: apt-get install pgbouncer'
    : undefined;
}

/**
 * Starts a PgBouncer in front of the server of `url`, for every database of it.
 *
 * @param settings of its section `[pgbouncer]`, over those that a transaction-mode test needs
 * @throws Error with PgBouncer's own words when it does not start
 */
export async function startPgBouncer(
  url: string,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PgBouncer> {
  const path = binary();
  if (path === undefined) throw new Error(`There is ${String(pgBouncerMissing())}.`);
  // Another process may take the free port before PgBouncer listens on it; then another port is tried.
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'sagaz-pgbouncer-'));
    const file = join(folder, 'pgbouncer.ini');
    const text = configuration(new URL(url), { ...settings, listen_port: port });
    writeFileSync(file, text, { mode: 0o600 });
    const user = unprivilegedUser();
    if (user !== undefined) {
      // It reads its file as the user that it becomes.
      for (const its of [folder, file]) chownSync(its, user.uid, user.gid);
    }
    const as = user === undefined ? [] : ['-u', user.name];
    const bouncer = spawn(path, [...as, file], { stdio: ['ignore', 'ignore', 'pipe'] });
    const watchdog = dieWith(bouncer, folder);
    const stop = async (): Promise<void> => {
      await ended(bouncer);
      watchdog.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    };
    const problem = await upOrWhy(bouncer, port);
    if (problem === undefined) {
      const by = new URL(url);
      by.hostname = '127.0.0.1';
      by.port = String(port);
      return { url: by.href, stop };
    }
    await stop();
    if (attempt === 5) throw new Error(`PgBouncer did not start: ${problem}`);
  }
}

function configuration(target: URL, settings: Readonly<Record<string, string | number>>): string {
  const database = [
    `host=${target.hostname}`,
    `port=${target.port || '5432'}`,
    `user=${decodeURIComponent(target.username)}`,
    ...(target.password === '' ? [] : [`password=${decodeURIComponent(target.password)}`]),
  ];
  const section = {
    listen_addr: '127.0.0.1',
    unix_socket_dir: '',
    // Every client is admitted, as the user of the line above.
    auth_type: 'any',
    pool_mode: 'transaction',
    default_pool_size: 40,
    max_client_conn: 500,
    ...settings,
  };
  const lines = Object.entries(section).map(([name, value]) => `${name} = ${String(value)}`);
  return `[databases]\n* = ${database.join(' ')}\n[pgbouncer]\n${lines.join('\n')}\n`;
}

function binary(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'].filter(Boolean);
  return folders.map((folder) => join(folder, 'pgbouncer')).find((path) => existsSync(path));
}

/** PgBouncer refuses to run as root, so root runs it as a user without rights. */
function unprivilegedUser(): { name: string; uid: number; gid: number } | undefined {
  if (userInfo().uid !== 0) return undefined;
  const id = (flag: string, user: string): number =>
    Number(execFileSync('id', [flag, user], { stdio: 'pipe' }).toString());
  for (const name of ['postgres', 'nobody']) {
    try {
      return { name, uid: id('-u', name), gid: id('-g', name) };
    } catch {
      continue;
    }
  }
  throw new Error('PgBouncer does not run as root, and this machine has no user "nobody".');
}

/**
 * Ends PgBouncer and removes its folder when this process is gone in any way, because the pipe is
 * closed then.
 */
function dieWith(bouncer: ChildProcess, folder: string): ChildProcess {
  const script = 'read -r _; kill "$1"; rm -rf "$2"';
  const watchdog = spawn('sh', ['-c', script, 'sh', String(bouncer.pid), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.unref();
  return watchdog;
}

/** The last lines of its output, if it ended instead of listening. */
async function upOrWhy(bouncer: ChildProcess, port: number): Promise<string | undefined> {
  let log = '';
  let problem: string | undefined;
  bouncer.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-4000);
  });
  bouncer.once('error', (error) => {
    problem = error.message;
  });
  bouncer.once('close', () => {
    problem ??= log;
  });
  for (;;) {
    if (problem !== undefined) return problem;
    if (await listens(port)) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function ended(bouncer: ChildProcess): Promise<void> {
  if (bouncer.pid === undefined || bouncer.exitCode !== null || bouncer.signalCode !== null) {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    bouncer.once('exit', () => resolve());
    // It is stopped at once: an orderly stop would wait for clients that never disconnect.
    bouncer.kill('SIGTERM');
  });
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
