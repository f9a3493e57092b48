import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const installed = createRequire(import.meta.url);

/** The Node that the SDK of Restate needs, from the bench's own packages; the bench itself runs on yours. */
export function nodeForRestate(): string {
  return join(installed.resolve('node/package.json'), '../bin/node');
}

function serverBinary(): string {
  return installed.resolve(
    `@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`,
  );
}

/** Why Restate cannot be measured here; null: it can. */
export function restateAbsence(): string | null {
  try {
    if (!existsSync(serverBinary())) return 'the binary of its server is not in its package';
  } catch {
    return `there is no package of its server for ${process.platform}-${process.arch}`;
  }
  try {
    // The package fetches the binary by an install script, which npm can be told not to run.
    return existsSync(nodeForRestate()) ? null : 'the package `node` has not installed its binary';
  } catch {
    return 'the package `node` is not installed';
  }
}

/** A Restate server of the run's own, on loopback only, with its log flushed to the disk as by default. */
export class RestateServer {
  private constructor(
    readonly ingress: string,
    readonly admin: string,
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  static async start(): Promise<RestateServer> {
    const folder = await mkdtemp(join(tmpdir(), 'sagaz-bench-restate-'));
    const [ingress, admin, node] = await Promise.all([freePort(), freePort(), freePort()]);
    const child = spawn(
      serverBinary(),
      ['--no-logo', '--listen-mode', 'tcp', '--bind-ip', '127.0.0.1', '--node-name', 'bench'],
      {
        stdio: 'ignore',
        cwd: folder,
        env: {
          ...process.env,
          RESTATE_BASE_DIR: folder,
          RESTATE_BIND_PORT: String(node),
          RESTATE_ADVERTISED_HOST: '127.0.0.1',
          RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${String(ingress)}`,
          RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${String(admin)}`,
          RESTATE_DISABLE_TELEMETRY: 'true',
          DO_NOT_TRACK: '1',
        },
      },
    );
    const server = new RestateServer(
      `http://127.0.0.1:${String(ingress)}`,
      `http://127.0.0.1:${String(admin)}`,
      child,
      folder,
    );
    // However this process ends, as long as it can still do something.
    process.once('exit', () => child.kill('SIGKILL'));
    await server.#answers(`${server.admin}/health`);
    await server.#answers(`${server.ingress}/restate/health`);
    return server;
  }

  get pid(): number {
    return this.child.pid ?? NaN;
  }

  /** Tells the server where the services are. */
  async register(uri: string): Promise<void> {
    const answer = await fetch(`${this.admin}/deployments`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri }),
    });
    if (!answer.ok) throw new Error(`Restate refused the services: ${await answer.text()}`);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const gone = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
      this.child.kill('SIGKILL');
      await gone;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  async #answers(url: string): Promise<void> {
    const end = performance.now() + 60_000;
    while (performance.now() < end) {
      if (this.child.exitCode !== null) {
        throw new Error(`Restate's server ended with code ${String(this.child.exitCode)}.`);
      }
      const answer = await fetch(url).catch(() => null);
      if (answer?.ok === true) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`Restate's server did not answer at ${url} within 60 s.`);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('No port is free.'));
      });
    });
  });
}
