import pg from 'pg';
import { LIMITS } from './limits.js';

/**
 * A client of `pg` that is closed within a bounded time: the driver's own `end()` waits for the server
 * to end the connection, which never happens if its packets are lost.
 */
export class BoundedClient extends pg.Client {
  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    const timer = setTimeout(() => abandon(this), LIMITS.close);
    // The socket itself keeps the process alive until it is closed.
    timer.unref();
    this.once('end', () => clearTimeout(timer));
    if (callback === undefined) return super.end();
    super.end(callback);
    return undefined;
  }
}

/**
 * Closes a connection without telling the server. Statements that wait for an answer on it fail. It
 * works on any client of `pg`, also on one of an application's pool, which then replaces it.
 */
export function abandon(client: unknown): void {
  const wire = part(client, 'connection');
  const stream = part(wire, 'stream');
  const destroy = part(stream, 'destroy');
  if (typeof destroy === 'function') Reflect.apply(destroy, stream, []);
}

function part(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null ? Reflect.get(of, name) : undefined;
}
