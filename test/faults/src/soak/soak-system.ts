import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '@sagaz/test-support/embedded-postgres';
import { TcpProxy } from '../processes/index.js';
import { createTables } from './create-tables.js';
import { ProcessLog } from './process-log.js';
import { SoakProcess } from './soak-process.js';
import type { Report, Role } from './worker-plan.js';

const CREW: readonly { readonly role: Role; readonly many: number }[] = [
  { role: 'engine', many: 4 },
  { role: 'relay', many: 2 },
  { role: 'consumer', many: 2 },
];
const STOP_WITHIN_MS = 20_000;

/** The faults that no process of the soak may show. */
export interface ProcessFault {
  readonly process: string;
  readonly what: string;
  readonly lastLines: readonly string[];
}

export interface SystemEvents {
  hear(worker: SoakProcess, report: Report): void;
  fault(fault: ProcessFault): void;
}

/** Two PostgreSQL servers and eight processes, each behind proxies of its own and with a log of its own. */
export class SoakSystem {
  readonly #logs: ProcessLog[] = [];
  workers: readonly SoakProcess[] = [];

  private constructor(
    readonly store: EmbeddedPostgres,
    readonly broker: EmbeddedPostgres,
    readonly logFolder: string,
    readonly log: ProcessLog,
    private readonly events: SystemEvents,
  ) {
    this.#logs.push(log);
  }

  /** The servers, with their tables and without processes. */
  static async prepare(events: SystemEvents): Promise<SoakSystem> {
    const logFolder = await mkdtemp(join(tmpdir(), 'sagaz-soak-'));
    const flags = { max_connections: 300 };
    const servers = await Promise.allSettled([
      startEmbeddedPostgres({ flags }),
      startEmbeddedPostgres({ flags }),
    ]);
    const [store, broker] = servers;
    const stopAll = async (): Promise<void> => {
      const up = servers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      await Promise.all(up.map((one) => one.stop()));
      await rm(logFolder, { recursive: true, force: true });
    };
    try {
      if (store.status === 'rejected') throw store.reason;
      if (broker.status === 'rejected') throw broker.reason;
      await createTables(store.value.url, broker.value.url);
      const log = new ProcessLog(join(logFolder, 'soak.log'));
      return new SoakSystem(store.value, broker.value, logFolder, log, events);
    } catch (error) {
      await stopAll();
      throw error;
    }
  }

  /** Starts the processes. The first of each role is spared from kills. */
  async spawn(): Promise<void> {
    const due = CREW.flatMap(({ role, many }) =>
      Array.from({ length: many }, (_, at) => ({ role, name: `${role}-${String(at + 1)}`, at })),
    );
    this.workers = await Promise.all(
      due.map(async ({ role, name, at }) => {
        const log = new ProcessLog(join(this.logFolder, `${name}.log`));
        this.#logs.push(log);
        const worker: SoakProcess = new SoakProcess({
          role,
          name,
          spared: at === 0,
          store: await TcpProxy.open(this.store.port),
          broker: await TcpProxy.open(this.broker.port),
          storeUrl: this.store.url,
          brokerUrl: this.broker.url,
          log,
          hear: (report) => {
            this.#hear(worker, report);
          },
          endedByItself: (how) => this.#fault(worker, `ended by itself (${how})`),
        });
        return worker;
      }),
    );
    for (const worker of this.workers) worker.spawn();
  }

  pick(random: () => number, role?: Role): SoakProcess {
    return oneOf(
      this.workers.filter((one) => role === undefined || one.role === role),
      random,
    );
  }

  /** One that may be killed. */
  pickMortal(random: () => number, role: Role): SoakProcess {
    return oneOf(
      this.workers.filter((one) => one.role === role && !one.parts.spared),
      random,
    );
  }

  /** Ends the workers in good order; the names of those that had to be killed. */
  async stopWorkers(): Promise<readonly string[]> {
    const late = await Promise.all(
      this.workers.map(async (one) => ((await one.stop(STOP_WITHIN_MS)) ? [] : [one.name])),
    );
    // A black hole that is still open holds connections of processes that are gone: they are no leak.
    this.#closeProxies();
    return late.flat();
  }

  #closeProxies(): void {
    for (const { parts } of this.workers) {
      parts.store.close();
      parts.broker.close();
    }
  }

  async stop(keepLogs: boolean): Promise<void> {
    this.killNow();
    this.#closeProxies();
    await Promise.all([this.store.stop(), this.broker.stop()]);
    for (const log of this.#logs) log.end();
    await Promise.allSettled(this.#logs.map((log) => finished(log)));
    if (!keepLogs) await rm(this.logFolder, { recursive: true, force: true });
  }

  killNow(): void {
    for (const worker of this.workers) worker.killNow();
  }

  #hear(worker: SoakProcess, report: Report): void {
    if (report.kind !== 'unhandled') {
      this.events.hear(worker, report);
      return;
    }
    const [what = '', ...stack] = report.what.split('\n');
    this.#fault(worker, `left unhandled: ${what}`, stack);
  }

  #fault({ name, parts }: SoakProcess, what: string, stack: readonly string[] = []): void {
    const lastLines = [...stack, ...parts.log.lastLines];
    this.events.fault({ process: name, what, lastLines });
  }
}

function oneOf(these: readonly SoakProcess[], random: () => number): SoakProcess {
  const worker = these[Math.floor(random() * these.length)];
  if (worker === undefined) throw new TypeError('There is no such worker.');
  return worker;
}
