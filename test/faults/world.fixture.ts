import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { systemClock, type Logger } from '@sagaz/core';
import { postgres, postgresBroker } from '@sagaz/postgres';
import { createDatabase, type PostgresServer, type TestDatabase } from '@sagaz/test-support';
import pg from 'pg';
import { NOTE_KEYS } from './src/notes.js';
import { FROZEN } from './src/faults.js';
import type { Fault, Scenario } from './src/scenario.js';
import { APP_TABLES, BROKER_SCHEMA, ORDERS_SCHEMA, STOCK_SCHEMA } from './src/schema.js';

const CHILD = fileURLToPath(new URL('dist/child.js', import.meta.url));
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
/** A child that has not ended by then never will. */
const PATIENCE_MS = 60_000;

/** A migrated database from which each run gets a copy. */
export class Template {
  private constructor(
    private readonly server: PostgresServer,
    private readonly database: TestDatabase,
  ) {}

  static async create(server: PostgresServer): Promise<Template> {
    const database = await createDatabase(server);
    const { url } = database;
    const environment = { service: 'template', logger: silent, clock: systemClock };
    for (const schema of [ORDERS_SCHEMA, STOCK_SCHEMA]) {
      const store = await postgres({ url, schema }).create(environment);
      await store.start({ migrate: true });
      await store.close();
    }
    const driver = postgresBroker({ url, schema: BROKER_SCHEMA, migrate: true });
    await (await driver.create(environment)).close();
    await query(url, APP_TABLES);
    for (const key of NOTE_KEYS) await query(url, `INSERT INTO app.note_key VALUES ('${key}', 0)`);
    return new Template(server, database);
  }

  async copy(): Promise<TestDatabase> {
    const original = new URL(this.database.url).pathname.slice(1);
    const name = `${original}_${randomBytes(4).toString('hex')}`;
    await query(this.server.url, `CREATE DATABASE "${name}" TEMPLATE "${original}"`);
    const url = new URL(this.server.url);
    url.pathname = `/${name}`;
    return {
      url: url.href,
      drop: () => query(this.server.url, `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`),
    };
  }

  drop(): Promise<void> {
    return this.database.drop();
  }
}

export async function query(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

export interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly stderr: string;
  readonly pid: number;
}

/** A child process with what it said. */
export class Child {
  readonly ended: Promise<Ended>;
  /** Whether it froze; false: it ended without. */
  readonly frozen: Promise<boolean>;
  readonly #process: ChildProcess;
  #stderr = '';

  constructor(scenario: Scenario) {
    this.#process = spawn(process.execPath, [CHILD, JSON.stringify(scenario)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.frozen = new Promise((resolve) => {
      this.#process.stdout?.on('data', (chunk) => resolve(String(chunk) === FROZEN));
      this.#process.once('exit', () => resolve(false));
    });
    this.#process.stderr?.on('data', (chunk) => (this.#stderr += String(chunk)));
    const tooLong = setTimeout(() => this.#process.kill('SIGTERM'), PATIENCE_MS);
    this.ended = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        clearTimeout(tooLong);
        resolve({ code, signal, stderr: this.#stderr, pid: this.pid });
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }
}

export function faultText({ point, subject, nth }: Omit<Fault, 'action'>): string {
  const of = subject === undefined ? '' : ` of ${subject}`;
  return `${point}${of}${nth === undefined ? '' : ` (time ${nth})`}`;
}
