import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Logger } from '@sagaz/core';
import { postgres, postgresBroker } from '@sagaz/postgres';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '@sagaz/test-support/embedded-postgres';
import pg from 'pg';
import { TcpProxy } from '../processes/index.js';
import { SoakProcess } from './soak-process.js';
import { BOOKS, SCHEMAS } from './tables.js';
import type { Report, Role } from './worker-plan.js';

const WORKERS: readonly Role[] = [
  ...['engine', 'engine', 'engine', 'engine'],
  ...['relay', 'relay'],
  ...['consumer', 'consumer'],
] as readonly Role[];
const STOP_WITHIN_MS = 20_000;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Two PostgreSQL servers and eight processes, each behind proxies of its own. */
export class SoakSystem {
  private constructor(
    readonly store: EmbeddedPostgres,
    readonly broker: EmbeddedPostgres,
    readonly workers: readonly SoakProcess[],
    readonly logFolder: string,
    private readonly log: WriteStream,
  ) {}

  static async start(hear: (worker: string, report: Report) => void): Promise<SoakSystem> {
    const logFolder = await mkdtemp(join(tmpdir(), 'sagaz-soak-'));
    const log = createWriteStream(join(logFolder, 'processes.log'));
    const flags = { max_connections: 300 };
    const servers = await Promise.all([
      startEmbeddedPostgres({ flags }),
      startEmbeddedPostgres({ flags }),
    ]);
    const [store, broker] = servers;
    try {
      await prepare(store.url, broker.url);
      const workers = await Promise.all(
        WORKERS.map(async (role, index) => {
          const name = `${role}-${String(index + 1)}`;
          return new SoakProcess({
            role,
            name,
            store: await TcpProxy.open(store.port),
            broker: await TcpProxy.open(broker.port),
            storeUrl: store.url,
            brokerUrl: broker.url,
            log,
            hear: (report) => hear(name, report),
          });
        }),
      );
      for (const worker of workers) worker.spawn();
      return new SoakSystem(store, broker, workers, logFolder, log);
    } catch (error) {
      await Promise.all(servers.map((one) => one.stop()));
      throw error;
    }
  }

  pick(random: () => number, role?: Role): SoakProcess {
    const these = this.workers.filter((one) => role === undefined || one.role === role);
    const worker = these[Math.floor(random() * these.length)];
    if (worker === undefined) throw new TypeError('There is no such worker.');
    return worker;
  }

  /** Ends the workers in good order; the names of those that had to be killed. */
  async stopWorkers(): Promise<readonly string[]> {
    const late = await Promise.all(
      this.workers.map(async (one) => ((await one.stop(STOP_WITHIN_MS)) ? [] : [one.name])),
    );
    return late.flat();
  }

  async stop(keepLogs: boolean): Promise<void> {
    for (const { parts } of this.workers) {
      parts.store.close();
      parts.broker.close();
    }
    await Promise.all([this.store.stop(), this.broker.stop()]);
    this.log.end();
    if (!keepLogs) await rm(this.logFolder, { recursive: true, force: true });
  }

  killNow(): void {
    for (const worker of this.workers) worker.killNow();
  }
}

async function prepare(storeUrl: string, brokerUrl: string): Promise<void> {
  const environment = { service: 'soak', logger: silent, clock: systemClock };
  for (const schema of [SCHEMAS.orders, SCHEMAS.stock]) {
    const store = await postgres({ url: storeUrl, schema }).create(environment);
    await store.start({ migrate: true });
    await store.close();
  }
  const driver = postgresBroker({ url: brokerUrl, schema: SCHEMAS.broker, migrate: true });
  await (await driver.create(environment)).close();
  const client = new pg.Client({ connectionString: storeUrl });
  await client.connect();
  try {
    await client.query(BOOKS);
  } finally {
    await client.end();
  }
}
