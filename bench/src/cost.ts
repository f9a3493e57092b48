import { readFile } from 'node:fs/promises';
import { withClient } from './server.js';

/** Processor time that a piece of work took, in microseconds for each item. */
export interface Cost {
  /** Of the process that runs Sagaz, or its peer. */
  readonly own: number;
  /**
   * Of the PostgreSQL processes that serve the database, or of a peer's own server; null where the system
   * does not tell.
   */
  readonly server: number | null;
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
  const server = rise(serverBefore, await serverMicros(url));
  return {
    value,
    cost: { own: (user + system) / count, server: server === null ? null : server / count },
  };
}

/**
 * The two figures of a cost as a person reads them.
 *
 * @param of - What the server is. Default: PostgreSQL.
 */
export function costText({ own, server }: Cost, of = 'PostgreSQL'): string {
  const micros = (value: number): string => `${Math.round(value).toLocaleString('en')} µs`;
  return `Node ${micros(own)}, ${of} ${server === null ? 'not known here: the system has no /proc' : micros(server)}`;
}

/** Processor time so far, by process; null where the system does not tell. */
type Times = ReadonlyMap<number, number> | null;

/** The CPU time that the processes that exist now have used since `before`; a process that ended meanwhile is not counted. */
function rise(before: Times, after: Times): number | null {
  if (before === null || after === null) return null;
  return [...after].reduce((sum, [pid, micros]) => sum + micros - (before.get(pid) ?? 0), 0);
}

/** Of all processes that serve the database now. */
async function serverMicros(url: string): Promise<Times> {
  if ((await processMicros(process.pid)) === null) return null;
  const pids = await withClient(url, async (client) => {
    const { rows } = await client.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type = 'client backend'`,
    );
    return rows.map(({ pid }) => pid);
  });
  const times = await Promise.all(pids.map(async (pid) => [pid, await threadMicros(pid)] as const));
  return new Map(times.flatMap(([pid, micros]) => (micros === null ? [] : [[pid, micros]])));
}

/** Of a process with one thread, to the nanosecond where the kernel counts that. */
async function threadMicros(pid: number): Promise<number | null> {
  try {
    const [nanos] = (await readFile(`/proc/${String(pid)}/schedstat`, 'utf8')).split(' ');
    return Number(nanos) / 1_000;
  } catch {
    return processMicros(pid);
  }
}

/** Processor time of all threads of a process of this machine; null: it is gone, or the system does not tell. */
export async function processMicros(pid: number): Promise<number | null> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    // The name, in brackets, may hold blanks; user and system time are the 12th and 13th field after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
  } catch {
    return null;
  }
}
