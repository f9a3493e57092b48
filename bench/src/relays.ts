import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fill } from './drain.js';
import { inTurn, type Rounds } from './measure.js';
import { withClient, type BenchServer } from './server.js';
import { perSecond } from './statistics.js';
import { openStore } from './store.js';
import { refill, setAside } from './tables.js';
import type { RelayRun, RelayState } from './workers/relay.js';

export const RELAY_COUNTS = ['1', '2', '4'] as const;
export type RelayCount = (typeof RELAY_COUNTS)[number];

const ROUNDS = 3;
/** How long relays may take to share the slots, and to publish everything. */
const PATIENCE_MS = 300_000;

/** Messages a second through one, two and four relays, each in a process of its own. */
export async function relayRates(server: BenchServer, rows: number): Promise<Rounds<RelayCount>> {
  const url = await server.database();
  const store = await openStore(url);
  await fill(store, rows);
  await store.close();
  await withClient(url, setAside);
  return inTurn(ROUNDS, RELAY_COUNTS, async (count) => ({
    perSecond: await rateOf(url, rows, Number(count)),
    cost: null,
  }));
}

/** From the commit by which all messages are there until the last of them is published. */
async function rateOf(url: string, rows: number, count: number): Promise<number> {
  const relays = Array.from({ length: count }, () => RelayProcess.start(url));
  try {
    // Evenly shared, and all slots held.
    await until('share the slots', relays, () => {
      const leases = relays.map(({ state }) => state.leases);
      const least = Math.min(...leases);
      return least > 0 && Math.max(...leases) - least <= 1;
    });
    await withClient(url, (client) => refill(client));
    const began = performance.now();
    for (const relay of relays) relay.say('wake');
    await until('publish everything', relays, () => {
      return relays.reduce((sum, { state }) => sum + state.published, 0) >= rows;
    });
    return perSecond(rows, performance.now() - began);
  } finally {
    await Promise.all(relays.map((relay) => relay.close()));
  }
}

async function until(
  what: string,
  relays: readonly RelayProcess[],
  holds: () => boolean,
): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (relays.some((relay) => relay.ended)) throw new Error('A relay ended before its work did.');
    if (performance.now() > end) throw new Error(`The relays did not ${what} within 5 minutes.`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

class RelayProcess {
  state: RelayState = { leases: 0, published: 0 };

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (state: RelayState) => {
      this.state = state;
    });
  }

  static start(url: string): RelayProcess {
    const run: RelayRun = { url };
    const script = fileURLToPath(new URL('./workers/relay.js', import.meta.url));
    return new RelayProcess(
      fork(script, [JSON.stringify(run)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
    );
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  say(word: 'wake' | 'close'): void {
    if (this.child.connected) this.child.send(word);
  }

  async close(): Promise<void> {
    if (this.ended) return;
    const gone = once(this.child, 'exit');
    this.say('close');
    await gone;
  }
}
