import { readFile } from 'node:fs/promises';
import { withClient } from './server.js';

/** Processor time that a piece of work took, in microseconds for each item. */
export interface Cost {
  /** Of this process. */
  readonly own: number;
  /** Of the server's processes that serve the database; NaN where the system has no /proc. */
  readonly server: number;
}

/** Linux counts processor time in hundredths of a second, whatever the kernel was built with. */
const TICK_MICROS = 10_000;

/** Runs `work` and answers its result with what each of `count` items cost. */
export async function withCost<T>(
  url: string,
  count: number,
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly cost: Cost }> {
  const serverBefore = await serverMicros(url);
  const before = process.cpuUsage();
  const value = await work();
  const { user, system } = process.cpuUsage(before);
  const server = (await serverMicros(url)) - serverBefore;
  return { value, cost: { own: (user + system) / count, server: server / count } };
}

/** Of all processes that serve the database now. One that ended is not counted: pools keep theirs. */
async function serverMicros(url: string): Promise<number> {
  const pids = await withClient(url, async (client) => {
    const { rows } = await client.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type = 'client backend'`,
    );
    return rows.map(({ pid }) => pid);
  });
  const each = await Promise.all(pids.map(microsOf));
  return each.reduce((sum, micros) => sum + micros, 0);
}

async function microsOf(pid: number): Promise<number> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    // The name, in brackets, may hold blanks; user and system time are the 12th and 13th field after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
  } catch {
    return NaN;
  }
}
