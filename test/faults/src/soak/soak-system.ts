import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { systemClock, type Logger } from '@sagaz/core';
import { postgres, postgresBroker } from '@sagaz/postgres';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '@sagaz/test-support/embedded-postgres';
import pg from 'pg';
import { TcpProxy } from '../processes/index.js';
import { ProcessLog } from './process-log.js';
import { SoakProcess } from './soak-process.js';
import { BOOKS, SCHEMAS } from './tables.js';
import { BROKER_TRAIL, STORE_TRAIL } from './trail.js';
import type { Report, Role } from './worker-plan.js';

const CREW: readonly { readonly role: Role; readonly many: number }[] = [
  { role: 'engine', many: 4 },
  { role: 'relay', many: 2 },
  { role: 'consumer', many: 2 },
];
const STOP_WITHIN_MS = 20_000;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** What a process of the soak must not do. */
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
      await Promise.all(servers.map((one) => one.status === 'fulfilled' && one.value.stop()));
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
    return late.flat();
  }

  async stop(keepLogs: boolean): Promise<void> {
    this.killNow();
    for (const { parts } of this.workers) {
      parts.store.close();
      parts.broker.close();
    }
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

async function createTables(storeUrl: string, brokerUrl: string): Promise<void> {
  const environment = { service: 'soak', logger: silent, clock: systemClock };
  for (const schema of [SCHEMAS.orders, SCHEMAS.stock]) {
    const store = await postgres({ url: storeUrl, schema }).create(environment);
    await store.start({ migrate: true });
    await store.close();
  }
  const driver = postgresBroker({ url: brokerUrl, schema: SCHEMAS.broker, migrate: true });
  await (await driver.create(environment)).close();
  await execute(storeUrl, `${BOOKS}${STORE_TRAIL}`);
  await execute(brokerUrl, BROKER_TRAIL);
}

async function execute(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
