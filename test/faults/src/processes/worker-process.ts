import { spawn, type ChildProcess } from 'node:child_process';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** Before a process that ended by itself is started again. */
const RESPAWN_MS = 500;

export interface ProcessParts<Report> {
  readonly name: string;
  /** File of the program that it runs. */
  readonly script: string;
  /** Its one argument, as JSON. */
  readonly plan: unknown;
  readonly nodeOptions?: readonly string[];
  readonly log: Writable;
  /** Called for each report of the process, whichever incarnation it comes from. */
  readonly hear: (report: Report) => void;
  /** Called when the process ended although it was not told to, once all its output is in the log. */
  readonly endedByItself?: (how: string) => void;
}

/** A worker that is started, killed, frozen, and started again. It reports `ready` when it works. */
export class WorkerProcess<
  Request extends { readonly kind: string },
  Report extends { readonly kind: string },
> {
  #child: ChildProcess | null = null;
  #ready = false;
  #wanted = true;
  #killing = false;

  constructor(private readonly process: ProcessParts<Report>) {}

  get name(): string {
    return this.process.name;
  }

  get ready(): boolean {
    return this.#ready;
  }

  spawn(): void {
    const { name, script, plan, nodeOptions = [], log, endedByItself } = this.process;
    const child = spawn(process.execPath, [...nodeOptions, script, JSON.stringify(plan)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Bytes of messages arrive as bytes.
      serialization: 'advanced',
    });
    log.write(`${name} starts as process ${String(child.pid)}\n`);
    child.stderr?.pipe(log, { end: false });
    let unasked: string | null = null;
    child.on('error', () => undefined);
    child.on('message', (report: Report) => {
      if (child !== this.#child) return;
      if (report.kind === 'ready') this.#ready = true;
      this.process.hear(report);
    });
    child.once('exit', (code, signal) => {
      log.write(`${name} ended: ${String(code ?? signal)}\n`);
      // A process that is told to end may do so before it knows how to end in good order.
      const told = this.#killing || (!this.#wanted && (code === 0 || signal !== null));
      if (!told) unasked = code === null ? String(signal) : `exit code ${String(code)}`;
      if (child !== this.#child) return;
      this.#child = null;
      this.#ready = false;
      // A process that ends by itself comes back, as under a supervisor.
      if (!this.#killing) setTimeout(() => this.#respawn(), RESPAWN_MS);
    });
    child.once('close', () => {
      if (unasked !== null) endedByItself?.(unasked);
    });
    this.#child = child;
  }

  /** Returns false if there is no process that could receive the message. */
  send(request: Request): boolean {
    if (this.#child === null || !this.#ready || !this.#child.connected) return false;
    this.#child.send(request, () => undefined);
    return true;
  }

  /**
   * Stops the process for longer than its leases last, and continues it. The signal ends the stop
   * early.
   */
  async freeze(ms: number, signal?: AbortSignal): Promise<void> {
    const child = this.#child;
    child?.kill('SIGSTOP');
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    child?.kill('SIGCONT');
  }

  /** SIGKILL, and a new one in its place. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#killing = true;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    this.#killing = false;
    this.#respawn();
  }

  /** Sends SIGTERM. Returns whether the process ended by itself within the time. */
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
