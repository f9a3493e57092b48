import { spawn, type ChildProcess } from 'node:child_process';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase, freePort, postgresServers, type TestDatabase } from '@sagaz/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyFolder, packLibraries, repository, run } from '../workspace/packed-packages.js';

const SERVICES = [
  'order-service',
  'inventory-service',
  'payment-service',
  'outbox-worker',
] as const;
type Service = (typeof SERVICES)[number];
const TOKEN = 'a token of this test alone';
const WITHIN_MS = 90_000;

interface Running {
  readonly address: string;
  readonly child: ChildProcess;
}

/** Each service is copied by itself: nothing of the repository lies above or beside it. */
describe('the sample services outside of the repository', { timeout: 240_000 }, () => {
  let folder: string;
  const databases = new Map<string, TestDatabase>();
  const running: Running[] = [];

  beforeAll(async () => {
    const [server] = postgresServers();
    if (server === undefined) throw new Error('The run has no PostgreSQL.');
    for (const name of ['orders', 'inventory', 'payments', 'broker']) {
      databases.set(name, await createDatabase(server));
    }
    folder = await emptyFolder();
    const packages = await packLibraries(join(folder, 'packed'));
    const tarballs = new Map(packages.map(({ name, tarball }) => [name, `file:${tarball}`]));
    for (const service of SERVICES) await copyAndBuild(service, folder, tarballs);
  }, 900_000);

  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all([...databases.values()].map((one) => one.drop()));
    await rm(folder, { recursive: true, force: true });
  });

  const url = (name: string): string => databases.get(name)?.url ?? '';

  async function start(service: Service, environment: Record<string, string>): Promise<Running> {
    const port = await freePort();
    const management = await freePort();
    const child = spawn(process.execPath, ['--enable-source-maps', 'dist/main.js'], {
      cwd: join(folder, service),
      env: {
        PATH: process.env.PATH,
        BROKER_URL: url('broker'),
        PORT: String(port),
        MANAGEMENT_PORT: String(management),
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let log = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => (log = (log + String(chunk)).slice(-4_000)));
    }
    const one = { address: `http://127.0.0.1:${String(port)}`, child };
    running.push(one);
    await until(
      `${service} is ready`,
      () => log,
      async () => {
        const answer = await fetch(`http://127.0.0.1:${String(management)}/health/ready`);
        return answer.ok ? true : undefined;
      },
    );
    return one;
  }

  it('work together: an order is paid, confirmed and taken off the stock', async () => {
    const admin = { ADMIN_TOKEN: TOKEN };
    const inventory = await start('inventory-service', {
      ...admin,
      DATABASE_URL: url('inventory'),
    });
    await start('payment-service', { DATABASE_URL: url('payments'), PROVIDER_DECLINE_RATE: '0' });
    const orders = await start('order-service', { ...admin, DATABASE_URL: url('orders') });

    const price = [{ sku: 'tea', unitPriceCents: 450 }];
    expect((await put(`${orders.address}/prices`, price, 'of somebody else')).status).toBe(403);
    expect((await put(`${orders.address}/prices`, price, TOKEN)).status).toBe(204);
    const stock = [{ sku: 'tea', name: 'Tea', stock: 10 }];
    expect((await put(`${inventory.address}/products`, stock, TOKEN)).status).toBe(204);

    const order = (quantity: number): object => ({
      orderId: 'o1',
      customerId: 'ann',
      items: [{ sku: 'tea', quantity, unitPriceCents: 1 }],
    });
    const placed = await post(`${orders.address}/orders`, order(2));
    expect(placed.status).toBe(202);
    expect(await placed.json()).toMatchObject({ totalCents: 900 });
    expect((await post(`${orders.address}/orders`, order(3))).status).toBe(409);
    await until(
      'the order is confirmed',
      () => '',
      async () => {
        const answer = await fetch(`${orders.address}/orders/o1`);
        const { status } = (await answer.json()) as { readonly status: string };
        return status === 'confirmed' ? true : undefined;
      },
    );
    await until(
      'the stock is taken',
      () => '',
      async () => {
        const answer = await fetch(`${inventory.address}/products/tea`);
        const { stock: left } = (await answer.json()) as { readonly stock: number };
        return left === 8 ? true : undefined;
      },
    );
  });

  it('leave publishing to the worker where they are told to', async () => {
    await start('outbox-worker', {
      OUTBOX_DATABASES: `orders=${url('orders')},inventory=${url('inventory')}`,
    });
  });
});

async function copyAndBuild(
  service: Service,
  folder: string,
  tarballs: ReadonlyMap<string, string>,
): Promise<void> {
  const copy = join(folder, service);
  await cp(join(repository, 'apps', service), copy, {
    recursive: true,
    filter: (path) => !/[/\\](node_modules|dist)$/.test(path),
  });
  // The packages of this commit are in no registry.
  const path = join(copy, 'package.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<
    'dependencies' | 'devDependencies',
    Record<string, string>
  >;
  for (const list of [manifest.dependencies, manifest.devDependencies]) {
    for (const name of Object.keys(list)) list[name] = tarballs.get(name) ?? list[name] ?? '';
  }
  await writeFile(path, JSON.stringify(manifest));
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--silent'], copy);
  await run('npm', ['run', 'build', '--silent'], copy);
}

function put(url: string, list: readonly object[], token: string): Promise<Response> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  return fetch(url, { method: 'PUT', headers, body: JSON.stringify(list) });
}

function post(url: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
}

async function until<T>(
  what: string,
  log: () => string,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + WITHIN_MS;
  while (performance.now() < end) {
    const seen = await look().catch(() => undefined);
    if (seen !== undefined) return seen;
    await sleep(100);
  }
  throw new Error(`Not within ${String(WITHIN_MS)} ms: ${what}.\n${log()}`);
}
