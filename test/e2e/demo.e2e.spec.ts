import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const demo = fileURLToPath(new URL('../demo/dist/main.js', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function runDemo(
  arguments_: readonly string[],
  onError: (text: string, pid: number) => void = () => undefined,
): Promise<Ended> {
  const child = spawn(process.execPath, [demo, ...arguments_], {
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onError(stderr, child.pid ?? 0);
  });
  return once(child, 'close').then(([code]) => ({
    code: typeof code === 'number' ? code : null,
    stdout,
    stderr,
  }));
}

/** Ids of processes whose parent is the given one, by Linux's own account; null: not to be had. */
async function childrenOf(pid: number): Promise<number[] | null> {
  try {
    const text = await readFile(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8');
    return text.trim().split(/\s+/).filter(Boolean).map(Number);
  } catch {
    return null;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('the demo', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sagaz-demo-spec-'));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('answers each order of a bad file for itself, and the others get through', async () => {
    const line = (orderId: string, sku: string, quantity: number): string =>
      JSON.stringify({
        orderId,
        customerId: 'c',
        items: [{ sku, quantity, unitPriceCents: 1_000 }],
      });
    const orders = join(folder, 'orders.jsonl');
    const products = join(folder, 'products.jsonl');
    await writeFile(
      orders,
      [
        line('good-1', 'A', 1),
        line('good-1', 'A', 2), // repeated
        line(' good-1 ', 'A', 1), // repeated, once the service has read it
        line('unknown', 'NO-SUCH', 1),
        line('zero', 'A', 0),
        'this is not JSON',
        line('too-many', 'A', 1_000),
        line('good-2', 'A', 2),
      ].join('\n'),
    );
    await writeFile(products, JSON.stringify({ sku: 'A', name: 'A', stock: 5 }));

    const { code, stdout, stderr } = await runDemo([
      '--orders',
      orders,
      '--products',
      products,
      '--no-kill',
      '--json',
    ]);

    expect(stderr.match(/order good-1 is in the file twice/g)).toHaveLength(2);
    expect(stderr).toMatch(/order unknown: unknown_product/);
    expect(stderr).toMatch(/order zero: .*quantity/s);
    expect(stderr).toMatch(/line 6 is not JSON/);
    const lines = stdout.trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      orders: 8,
      confirmed: 2,
      rejected: 6,
      needsAttention: 0,
      unfinished: 0,
      oversoldProducts: 0,
      chargedNotConfirmed: 0,
      confirmedNotCharged: 0,
      reservedNotConfirmed: 0,
      doubleCharges: 0,
      kills: 0,
    });
    expect(code).toBe(0);
  }, 240_000);

  it('leaves no process behind when it is interrupted', async () => {
    let seen: number[] = [];
    let interrupted = false;
    const { code } = await runDemo(['--count', '2000', '--no-kill'], (stderr, pid) => {
      if (interrupted || !stderr.includes('all are up')) return;
      interrupted = true;
      void childrenOf(pid).then((children) => {
        seen = children ?? [];
        process.kill(pid, 'SIGINT');
      });
    });
    expect(interrupted).toBe(true);
    expect(code).toBe(130);
    expect(seen.filter(lives)).toEqual([]);
  }, 240_000);

  it('leaves no process behind when it is killed itself', async () => {
    let seen: number[] = [];
    let killed = false;
    await runDemo(['--count', '2000', '--no-kill'], (stderr, pid) => {
      if (killed || !stderr.includes('all are up')) return;
      killed = true;
      void childrenOf(pid).then((children) => {
        seen = children ?? [];
        process.kill(pid, 'SIGKILL');
      });
    });
    expect(killed).toBe(true);
    await expect.poll(() => seen.filter(lives), { timeout: 20_000 }).toEqual([]);
  }, 240_000);

  it('refuses a wrong option by its name', async () => {
    const { code, stderr } = await runDemo(['--count', 'many']);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/--count.*many.*whole number/s);
  });

  it('says which file it cannot read', async () => {
    const { code, stderr } = await runDemo(['--orders', join(folder, 'nowhere.jsonl')]);
    expect(code).toBe(1);
    expect(stderr).toContain('nowhere.jsonl cannot be read');
  });
});
