import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LEASH = new URL('./leash.js', import.meta.url).href;

export interface ProcessPlan {
  readonly name: string;
  /** The script Node runs. */
  readonly script: string;
  readonly port: number;
  /** Where its metrics and its health are. */
  readonly managementPort: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
}

/** One service of the system: a process that is started, killed, and started again. */
export class ServiceProcess {
  readonly address: string;
  /** Where its metrics and its health are. */
  readonly management: string;
  kills = 0;
  private child: ChildProcess | null = null;
  private readonly log: WriteStream;

  constructor(private readonly plan: ProcessPlan) {
    this.address = `http://127.0.0.1:${String(plan.port)}`;
    this.management = `http://127.0.0.1:${String(plan.managementPort)}`;
    this.log = createWriteStream(plan.logFile, { flags: 'a' });
  }

  get name(): string {
    return this.plan.name;
  }

  start(): void {
    const { script, environment, port, managementPort } = this.plan;
    // Node itself, and not a launcher in between: what is killed must be the service.
    const child = spawn(process.execPath, ['--import', LEASH, '--enable-source-maps', script], {
      env: {
        ...inherited(),
        ...environment,
        PORT: String(port),
        MANAGEMENT_PORT: String(managementPort),
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdout.pipe(this.log, { end: false });
    child.stderr.pipe(this.log, { end: false });
    this.child = child;
  }

  /** Waits until the service says that it is ready. */
  async ready(withinMs: number, signal: AbortSignal): Promise<void> {
    const end = performance.now() + withinMs;
    while (performance.now() < end) {
      if (this.child !== null && hasEnded(this.child)) {
        throw new Error(`${this.name} ended while it started. Its log: ${this.plan.logFile}`);
      }
      if (await isReady(this.management)) return;
      await sleep(50, undefined, { signal });
    }
    throw new Error(
      `${this.name} was not ready within ${String(withinMs / 1000)} s. Its log: ${this.plan.logFile}`,
    );
  }

  /** SIGKILL: no handler runs, nothing is given back, sockets just break. */
  async kill(): Promise<void> {
    this.kills += 1;
    await this.end('SIGKILL', 10_000);
  }

  /** SIGTERM, and SIGKILL for one that does not go. */
  async stop(): Promise<void> {
    await this.end('SIGTERM', 15_000);
  }

  /** For the last moment of this process: cannot wait. */
  killNow(): void {
    if (this.child !== null && !hasEnded(this.child)) this.child.kill('SIGKILL');
  }

  private async end(signal: NodeJS.Signals, withinMs: number): Promise<void> {
    const { child } = this;
    if (child === null || hasEnded(child)) return;
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        resolve();
      });
    });
    child.kill(signal);
    const patience = setTimeout(() => child.kill('SIGKILL'), withinMs);
    await ended;
    clearTimeout(patience);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function isReady(management: string): Promise<boolean> {
  try {
    const response = await fetch(`${management}/health/ready`, {
      signal: AbortSignal.timeout(1_000),
    });
    return response.ok;
  } catch {
    return false;
  }
}

/** The variables that a service needs of our environment; never settings of Sagaz that happen to be there. */
function inherited(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'SYSTEMROOT'];
  return Object.fromEntries(
    kept.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
