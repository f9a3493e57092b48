import { createDatabase, freePort, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const TOKEN = 'a token of this test alone';

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

  it.each(['order-service', 'inventory-service', 'payment-service'] as const)(
    '(%s) starts in production once its script has made the tables of Sagaz',
    async (sample) => {
      const [server] = postgresServers();
      const [own, broker] = [await createDatabase(server!), await createDatabase(server!)];
      try {
        const environment = { DATABASE_URL: own.url, BROKER_URL: broker.url };
        await run('npm', ['run', 'migrate', '--silent'], {
          cwd: fileURLToPath(new URL(`../../apps/${sample}`, import.meta.url)),
          env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
        });
        const MANAGEMENT_PORT = String(await freePort());
        running = new Running(sample, {
          ...environment,
          NODE_ENV: 'production',
          PORT: String(await freePort()),
          MANAGEMENT_PORT,
        });
        await running.answers(`http://127.0.0.1:${MANAGEMENT_PORT}/health/ready`);
        await running.stop('SIGTERM');
      } finally {
        await running?.stop('SIGKILL');
        await own.drop();
        await broker.drop();
      }
    },
  );

  /** PostgreSQL keeps neither; what is sent in a path reaches a service only as far as it can be decoded. */
  const UNSTORABLE = ['half \ud800', '\udc00', 'nul \0', 'line\n2'];

  it('(order-service) refuses ids that PostgreSQL cannot keep, and takes all others', async () => {
    const world = await start('order-service');
    const price = (sku: string): readonly object[] => [{ sku, unitPriceCents: 1 }];
    const order = { orderId: 'é 😀', customerId: '李', items: [{ sku: '茶 🍵', quantity: 1 }] };
    for (const id of UNSTORABLE) {
      for (const wrong of [
        { ...order, orderId: id },
        { ...order, customerId: id },
        { ...order, items: [{ sku: id, quantity: 1 }] },
      ]) {
        await refused(send('POST', `${world}/orders`, wrong));
      }
      await refused(send('PUT', `${world}/prices`, price(id)));
    }
    await refused(fetch(`${world}/orders/${encodeURIComponent('nul \0')}`));
    expect((await send('PUT', `${world}/prices`, price('茶 🍵'))).status).toBe(204);
    expect((await send('POST', `${world}/orders`, order)).status).toBe(202);
    const seen = await fetch(`${world}/orders/${encodeURIComponent('é 😀')}`);
    expect(await seen.json()).toMatchObject({ orderId: 'é 😀' });
  });

  it('(inventory-service) refuses texts that PostgreSQL cannot keep, and takes all others', async () => {
    const world = await start('inventory-service');
    const sheet = (sku: string, name: string): readonly object[] => [{ sku, name, stock: 1 }];
    for (const text of UNSTORABLE) {
      await refused(send('PUT', `${world}/products`, sheet(text, 'Tea')));
      await refused(send('PUT', `${world}/products`, sheet('tea', text)));
    }
    await refused(fetch(`${world}/products/${encodeURIComponent('nul \0')}`));
    expect((await send('PUT', `${world}/products`, sheet('茶 🍵', '😀'))).status).toBe(204);
    const seen = await fetch(`${world}/products/${encodeURIComponent('茶 🍵')}`);
    expect(await seen.json()).toMatchObject({ name: '😀' });
  });

  /** Starts a sample, and returns its address. */
  async function start(sample: Sample): Promise<string> {
    const [PORT, MANAGEMENT_PORT] = [String(await freePort()), String(await freePort())];
    running = new Running(sample, {
      DATABASE_URL: db.url,
      BROKER_URL: db.url,
      ADMIN_TOKEN: TOKEN,
      PORT,
      MANAGEMENT_PORT,
    });
    await running.answers(`http://127.0.0.1:${MANAGEMENT_PORT}/health/ready`);
    return `http://127.0.0.1:${PORT}`;
  }
});

function send(method: 'POST' | 'PUT', url: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` };
  return fetch(url, { method, headers, body: JSON.stringify(body) });
}

/** By the sample's own schema, and not by what the database says about it later. */
async function refused(answer: Promise<Response>): Promise<void> {
  const response = await answer;
  expect([response.status, await response.text()]).toEqual([
    400,
    expect.stringContaining('must have no control characters and no half characters'),
  ]);
}
