import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '@sagaz/test-support/embedded-postgres';
import { freePort } from '@sagaz/test-support/free-port';
import pg from 'pg';
import type { Killable } from './killer.js';
import { ServiceProcess } from './process.js';

const DATABASES = ['orders', 'inventory', 'payments', 'broker'] as const;
export type DatabaseName = (typeof DATABASES)[number];

/** The whole sample system: a PostgreSQL, three services and the worker, each its own process. */
export class System {
  private constructor(
    private readonly postgres: EmbeddedPostgres,
    private readonly folder: string,
    private readonly urls: ReadonlyMap<DatabaseName, string>,
    readonly orders: ServiceProcess,
    readonly inventory: ServiceProcess,
    readonly payments: ServiceProcess,
    readonly worker: ServiceProcess,
    /** Opens the endpoints of operators. */
    readonly adminToken: string,
  ) {}

  static async start(): Promise<System> {
    const folder = await mkdtemp(join(tmpdir(), 'sagaz-demo-'));
    const postgres = await startEmbeddedPostgres({ flags: { max_connections: 300 } });
    try {
      const adminToken = randomBytes(24).toString('hex');
      const urls = await createDatabases(postgres.url);
      const url = (name: DatabaseName): string => urls.get(name) ?? '';
      const service = async (
        app: string,
        environment: Record<string, string>,
      ): Promise<ServiceProcess> =>
        new ServiceProcess({
          name: app,
          script: fileURLToPath(new URL(`../../../apps/${app}/dist/main.js`, import.meta.url)),
          port: await freePort(),
          managementPort: await freePort(),
          environment: {
            NODE_ENV: 'development',
            LOG_LEVEL: 'warn',
            BROKER_URL: url('broker'),
            ADMIN_TOKEN: adminToken,
            // The work of a dead process is taken over sooner than by default, to keep the run short.
            SAGAZ_ENGINE_LEASE: '3s',
            SAGAZ_RELAY_LEASE: '4s',
            SAGAZ_RELAY_PUBLISH_TIMEOUT: '2s',
            ...environment,
          },
          logFile: join(folder, `${app}.log`),
        });
      // The worker relays for all of them.
      const beside = { SAGAZ_ROLES: 'engine,consume' };
      const system = new System(
        postgres,
        folder,
        urls,
        await service('order-service', { ...beside, DATABASE_URL: url('orders') }),
        await service('inventory-service', { ...beside, DATABASE_URL: url('inventory') }),
        await service('payment-service', { ...beside, DATABASE_URL: url('payments') }),
        await service('outbox-worker', {
          OUTBOX_DATABASES: ['orders', 'inventory', 'payments']
            .map((name) => `${name}=${urls.get(name as DatabaseName) ?? ''}`)
            .join(','),
        }),
        adminToken,
      );
      for (const process of system.processes) process.start();
      return system;
    } catch (error) {
      await postgres.stop();
      throw error;
    }
  }

  /** The database's process: SIGKILL to it is a power cut for everybody. */
  readonly database: Killable = {
    name: 'PostgreSQL',
    kill: async () => {
      this.databaseKills += 1;
      await this.postgres.crash();
    },
    // It is up again when the kill has been answered.
    start: () => undefined,
    ready: (_withinMs, signal) => this.ready(signal),
  };
  private databaseKills = 0;

  /** How many processes were killed. */
  get kills(): number {
    return this.processes.reduce((sum, process) => sum + process.kills, this.databaseKills);
  }

  get processes(): readonly ServiceProcess[] {
    return [this.orders, this.inventory, this.payments, this.worker];
  }

  async ready(signal: AbortSignal): Promise<void> {
    await Promise.all(this.processes.map((process) => process.ready(60_000, signal)));
  }

  databaseUrl(name: DatabaseName): string {
    const url = this.urls.get(name);
    if (url === undefined) throw new Error(`There is no database ${name}.`);
    return url;
  }

  /** Ends every process, the database last, and removes the logs of a run that went well. */
  async stop(keepLogs: boolean): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop()));
    await this.postgres.stop();
    if (!keepLogs) await rm(this.folder, { recursive: true, force: true });
  }

  killNow(): void {
    for (const process of this.processes) process.killNow();
  }

  get logFolder(): string {
    return this.folder;
  }
}

/** A database for each service and one for the broker, each with an owner that sees nothing else. */
async function createDatabases(adminUrl: string): Promise<Map<DatabaseName, string>> {
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    const urls = new Map<DatabaseName, string>();
    for (const name of DATABASES) {
      const password = randomBytes(18).toString('base64url');
      await admin.query(`CREATE ROLE ${name} LOGIN PASSWORD ${admin.escapeLiteral(password)}`);
      await admin.query(`CREATE DATABASE ${name} OWNER ${name}`);
      await admin.query(`REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`);
      const url = new URL(adminUrl);
      url.username = name;
      url.password = password;
      url.pathname = `/${name}`;
      urls.set(name, url.href);
    }
    return urls;
  } finally {
    await admin.end();
  }
}
