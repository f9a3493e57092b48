import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, type EngineSettings, type Logger, type Store } from '@sagaz/core';
import { postgres } from '@sagaz/postgres';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '@sagaz/test-support/embedded-postgres';
import pg from 'pg';
import { TcpProxy, WorkerProcess } from '../processes/index.js';
import type { TrialReport, TrialRequest, TrialWorkerPlan } from './protocol.js';
import { SCHEMA, TRIAL_TABLES } from './tables.js';

/** The built one, also where a test runs the sources. */
const SCRIPT = fileURLToPath(new URL('../../dist/random/worker.js', import.meta.url));
const ENGINES = 4;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export type TrialProcess = WorkerProcess<TrialRequest, TrialReport>;

/** An engine process and the network between it and the server. */
export interface Member {
  readonly process: TrialProcess;
  readonly proxy: TcpProxy;
}

/** A PostgreSQL, a way to its tables that nothing disturbs, and the engine processes of one round. */
export class Fleet {
  members: readonly Member[] = [];

  private constructor(
    readonly server: EmbeddedPostgres,
    readonly store: Store,
    readonly pool: pg.Pool,
    readonly logFolder: string,
    private readonly log: WriteStream,
  ) {}

  static async open(): Promise<Fleet> {
    const logFolder = await mkdtemp(join(tmpdir(), 'sagaz-random-'));
    const server = await startEmbeddedPostgres({ flags: { max_connections: 200 } });
    try {
      const { url } = server;
      const environment = { service: 'random books', logger: silent, clock: systemClock };
      const store = await postgres({ url, schema: SCHEMA }).create(environment);
      await store.start({ migrate: true });
      const pool = new pg.Pool({ connectionString: url, max: 2 });
      pool.on('error', () => undefined);
      await pool.query(TRIAL_TABLES);
      const log = createWriteStream(join(logFolder, 'processes.log'));
      return new Fleet(server, store, pool, logFolder, log);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** Starts the processes of a round. */
  async crew(
    work: Pick<TrialWorkerPlan, 'firstSeed' | 'trials'>,
    settings: Partial<EngineSettings>,
    hear: (member: Member, report: TrialReport) => void,
  ): Promise<void> {
    this.log.write(`--- from seed ${String(work.firstSeed)} on\n`);
    this.members = await Promise.all(
      Array.from({ length: ENGINES }, async (_, index) => {
        const name = `engine-${String(index + 1)}`;
        const proxy = await TcpProxy.open(this.server.port);
        const plan: TrialWorkerPlan = {
          ...work,
          name,
          url: proxy.through(this.server.url),
          settings,
        };
        const member: Member = {
          proxy,
          process: new WorkerProcess({
            name,
            script: SCRIPT,
            plan,
            log: this.log,
            hear: (report: TrialReport) => hear(member, report),
          }),
        };
        return member;
      }),
    );
    for (const { process } of this.members) process.spawn();
  }

  /** Sends it to one of them, by chance; false: nobody could hear it. */
  tellAny(request: TrialRequest): boolean {
    const ready = this.members.filter(({ process }) => process.ready);
    return ready[Math.floor(Math.random() * ready.length)]?.process.send(request) ?? false;
  }

  pick(random: () => number): Member {
    const member = this.members[Math.floor(random() * this.members.length)];
    if (member === undefined) throw new TypeError('There is no process.');
    return member;
  }

  /** Ends the processes of a round in good order; the names of those that had to be killed. */
  async dismiss(withinMs: number): Promise<readonly string[]> {
    const late = await Promise.all(
      this.members.map(async ({ process }) =>
        (await process.stop(withinMs)) ? [] : [process.name],
      ),
    );
    for (const { proxy } of this.members) proxy.close();
    this.members = [];
    return late.flat();
  }

  /** For the last moment of this process: cannot wait. */
  killNow(): void {
    for (const { process, proxy } of this.members) {
      process.killNow();
      proxy.close();
    }
  }

  async close(keepLogs: boolean): Promise<void> {
    this.killNow();
    await Promise.allSettled([this.store.close(), this.pool.end()]);
    await this.server.stop();
    this.log.end();
    if (!keepLogs) await rm(this.logFolder, { recursive: true, force: true });
  }
}
