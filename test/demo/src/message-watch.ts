import type { System } from './system.js';

const INTERVAL_MS = 500;

/**
 * Adds up counters of the services' metrics over all lives of their processes. A counter that fell
 * was started anew; what a process counted in its last half second before it was killed is lost, so
 * the sums are lower bounds.
 */
export class MessageWatch {
  private readonly sums = new Map<string, number>();
  private readonly last = new Map<string, number>();
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly system: System) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), INTERVAL_MS);
  }

  async stop(): Promise<void> {
    if (this.timer === null) return;
    clearInterval(this.timer);
    this.timer = null;
    await this.look();
  }

  get published(): number {
    return this.sums.get('sagaz_relay_published_total') ?? 0;
  }

  get duplicatesDropped(): number {
    return this.sums.get('sagaz_inbox_duplicates_total') ?? 0;
  }

  private async look(): Promise<void> {
    await Promise.all(
      this.system.processes.map(async ({ name, management }) => {
        for (const [metric, value] of await scrape(management)) {
          const key = `${name} ${metric}`;
          const before = this.last.get(key) ?? 0;
          const grown = value >= before ? value - before : value;
          this.sums.set(metric, (this.sums.get(metric) ?? 0) + grown);
          this.last.set(key, value);
        }
      }),
    );
  }
}

/** Sums the series of each counter of Sagaz. */
async function scrape(management: string): Promise<Map<string, number>> {
  const totals = new Map<string, number>();
  try {
    const response = await fetch(`${management}/metrics`, { signal: AbortSignal.timeout(2_000) });
    for (const line of (await response.text()).split('\n')) {
      const match = /^(sagaz_\w+_total)(?:\{[^}]*\})? (\S+)/.exec(line);
      if (match?.[1] !== undefined) {
        totals.set(match[1], (totals.get(match[1]) ?? 0) + Number(match[2]));
      }
    }
  } catch {
    totals.clear(); // Dead at the moment.
  }
  return totals;
}
