import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { withClient } from './server.js';
import { median, quantile } from './statistics.js';
import type { Flights, ProxyRun } from './workers/proxy.js';

/** The round trip of the network that the bench adds, in milliseconds: half of it each way. */
export const NETWORK_MS = 1;

/**
 * A way to a database that counts flights (a flight begins when the client sends something after the
 * server has spoken) and may take its time. It runs in a process of its own, so that the event loop of
 * who is measured delays nothing.
 */
export class CountingProxy {
  private constructor(
    /** The URL of the database, by way of the proxy. */
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  /** @param roundTripMs - What a round trip takes longer than without the proxy. Default: nothing. */
  static async start(database: string, roundTripMs = 0): Promise<CountingProxy> {
    const url = new URL(database);
    const run: ProxyRun = {
      host: url.hostname,
      port: Number(url.port || 5432),
      delayMs: roundTripMs / 2,
    };
    const script = fileURLToPath(new URL('./workers/proxy.js', import.meta.url));
    const child = fork(script, [JSON.stringify(run)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [port] = (await once(child, 'message')) as [number | null];
    if (port === null) throw new Error('The proxy found no port.');
    url.hostname = '127.0.0.1';
    url.port = String(port);
    return new CountingProxy(url.href, child);
  }

  async flights(): Promise<Flights> {
    const answer = once(this.child, 'message') as Promise<[Flights]>;
    this.child.send('count');
    const [flights] = await answer;
    return flights;
  }

  async close(): Promise<void> {
    const gone = once(this.child, 'exit');
    this.child.disconnect();
    await gone;
  }
}

/** How long a round trip takes straight and by the proxy, in milliseconds. */
export interface ProxyCheck {
  readonly straight: number;
  readonly byProxy: number;
  readonly p90: number;
}

export async function checkProxy(straight: string, byProxy: string): Promise<ProxyCheck> {
  const without = await roundTrips(straight);
  const through = await roundTrips(byProxy);
  return { straight: median(without), byProxy: median(through), p90: quantile(through, 0.9) };
}

function roundTrips(url: string): Promise<readonly number[]> {
  return withClient(url, async (client) => {
    const all: number[] = [];
    for (let index = 0; index < 600; index += 1) {
      const began = performance.now();
      await client.query('SELECT 1');
      if (index >= 100) all.push(performance.now() - began);
    }
    return all;
  });
}
