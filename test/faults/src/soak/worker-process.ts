import { spawn, type ChildProcess } from 'node:child_process';
import type { WriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TcpProxy } from './tcp-proxy.js';
import type { Report, Request, Role } from './worker-plan.js';

const SCRIPT = fileURLToPath(new URL('worker.js', import.meta.url));

export interface ProcessParts {
  readonly role: Role;
  readonly name: string;
  readonly store: TcpProxy;
  readonly broker: TcpProxy;
  readonly storeUrl: string;
  readonly brokerUrl: string;
  readonly log: WriteStream;
  /** Called for each report of the process, whichever incarnation it comes from. */
  readonly hear: (report: Report) => void;
}

/** A worker that is started, killed, frozen, and started again. */
export class WorkerProcess {
  #child: ChildProcess | null = null;
  #ready = false;
  #wanted = true;

  constructor(readonly parts: ProcessParts) {}

  get name(): string {
    return this.parts.name;
  }

  get role(): Role {
    return this.parts.role;
  }

  get ready(): boolean {
    return this.#ready;
  }

  spawn(): void {
    const { role, name, store, broker, log } = this.parts;
    const plan = {
      role,
      name,
      storeUrl: store.through(this.parts.storeUrl),
      brokerUrl: broker.through(this.parts.brokerUrl),
    };
    const child = spawn(process.execPath, ['--expose-gc', SCRIPT, JSON.stringify(plan)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    child.stderr?.pipe(log, { end: false });
    child.on('error', () => undefined);
    child.on('message', (report: Report) => {
      if (child !== this.#child) return;
      if (report.kind === 'ready') this.#ready = true;
      this.parts.hear(report);
    });
    child.once('exit', (code, signal) => {
      log.write(`${name} ended: ${String(code ?? signal)}\n`);
      if (child !== this.#child) return;
      this.#child = null;
      this.#ready = false;
      // A process that ends by itself comes back, as under a supervisor.
      if (this.#wanted && signal !== 'SIGKILL') setTimeout(() => this.#respawn(), 500);
    });
    this.#child = child;
  }

  /** False: nobody is there who could hear it. */
  send(request: Request): boolean {
    if (this.#child === null || !this.#ready || !this.#child.connected) return false;
    this.#child.send(request, () => undefined);
    return true;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** SIGKILL, and a new one in its place. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    this.#respawn();
  }

  /** SIGTERM; whether it ended by itself within the time. */
  async stop(withinMs: number): Promise<boolean> {
    this.#wanted = false;
    const child = this.#child;
    if (child === null) return true;
    let killed = false;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const patience = setTimeout(() => {
      killed = true;
      child.kill('SIGKILL');
    }, withinMs);
    await ended;
    clearTimeout(patience);
    return !killed;
  }

  /** For the last moment of this process: cannot wait. */
  killNow(): void {
    this.#wanted = false;
    this.#child?.kill('SIGKILL');
  }

  #respawn(): void {
    if (this.#wanted && this.#child === null) this.spawn();
  }
}
