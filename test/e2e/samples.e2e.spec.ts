import { createDatabase, freePort, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

type Sample = 'order-service' | 'inventory-service' | 'payment-service' | 'outbox-worker';

/** A sample service as `node dist/main.js` starts it. */
class Running {
  output = '';
  readonly #child: ChildProcess;

  constructor(sample: Sample, environment: Readonly<Record<string, string>>) {
    const script = fileURLToPath(new URL(`../../apps/${sample}/dist/main.js`, import.meta.url));
    this.#child = spawn(process.execPath, [script], {
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  /** Waits for something in its output; what never comes ends the test. */
  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.#child.exitCode !== null) throw new Error(`It ended: ${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async answers(url: string): Promise<void> {
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`It ended: ${this.output}`);
      const response = await fetch(url).catch(() => undefined);
      if (response?.ok === true) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }
}

describe('a sample service', { timeout: 120_000 }, () => {
  let db: TestDatabase;
  let running: Running | undefined;

  beforeAll(async () => {
    db = await createDatabase(postgresServers()[0]!);
  });
  afterEach(async () => {
    await running?.stop('SIGKILL');
    running = undefined;
  });
  afterAll(() => db.drop());

  it.each(['order-service', 'inventory-service', 'payment-service'] as const)(
    '(%s) says at once that it waits for its database',
    async (sample) => {
      const away = `postgres://me:p@ss word@127.0.0.1:${String(await freePort())}/away`;
      running = new Running(sample, { DATABASE_URL: encodeURI(away), BROKER_URL: db.url });
      await running.says('Unable to connect to the database');
      // It has not given up, and the line was not kept back until it does.
      expect(running.output).toContain('Starting Nest application');
      expect(running.output).not.toMatch(/p@ss|p%40ss/);
    },
  );

  it('serves what operators may see on a port of their own, and hides what logs must not show', async () => {
    const [PORT, MANAGEMENT_PORT] = [String(await freePort()), String(await freePort())];
    running = new Running('order-service', {
      DATABASE_URL: db.url,
      BROKER_URL: db.url,
      PORT,
      MANAGEMENT_PORT,
    });
    const [world, operators] = [`http://127.0.0.1:${PORT}`, `http://127.0.0.1:${MANAGEMENT_PORT}`];
    await running.answers(`${operators}/health/ready`);
    const status = async (url: string): Promise<number> => (await fetch(url)).status;
    for (const path of ['/metrics', '/health/live', '/health/ready', '/openapi', '/openapi-json']) {
      expect([path, await status(world + path)]).toEqual([path, 404]);
      expect([path, await status(operators + path)]).toEqual([path, 200]);
    }
    const order = '/orders/01a2249a-cfa5-7000-b5c2-7e4a8a82f274';
    expect(await status(operators + order)).toBe(404);
    await fetch(world + order, {
      headers: { authorization: 'Bearer topsecret', cookie: 'session=topsecret', 'x-mark': 'seen' },
    });
    await running.says('"x-mark":"seen"');
    expect(running.output).not.toContain('topsecret');
    await running.stop('SIGTERM');
  });

  it('(outbox-worker) has the port of operators only', async () => {
    const MANAGEMENT_PORT = String(await freePort());
    running = new Running('outbox-worker', {
      OUTBOX_DATABASES: `orders=${db.url}`,
      BROKER_URL: db.url,
      MANAGEMENT_PORT,
    });
    await running.answers(`http://127.0.0.1:${MANAGEMENT_PORT}/health/ready`);
    const metrics = await (await fetch(`http://127.0.0.1:${MANAGEMENT_PORT}/metrics`)).text();
    expect(metrics).toContain('sagaz_relay_published_total{connection="orders"} 0');
    await running.stop('SIGTERM');
  });
});
