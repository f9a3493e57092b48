import type { INestApplication } from '@nestjs/common';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SagazError } from '@sagaz/core';

/** Options of {@link serveManagement}. */
export interface ManagementOptions {
  /**
   * The paths that are served on the management port only, including all paths below them. Default:
   * `/metrics`, `/health`, `/openapi`.
   */
  readonly paths?: readonly string[];
}

/** The management port of an application, see {@link serveManagement}. */
export interface Management {
  /**
   * Begins to listen. Call it after `app.listen()`, which gives the application its routes.
   *
   * @param port - 0: any port that is free @param host - default: all addresses of this machine
   * @returns the port
   */
  listen(port: number, host?: string): Promise<number>;
}

/** The management port was opened before `app.listen()`, so that the application has no routes yet. */
export class ManagementTooEarlyError extends SagazError {
  readonly code = 'SAGAZ_MANAGEMENT_TOO_EARLY';

  constructor() {
    super(
      'The management port was to be opened before the application listens.',
      'Call await app.listen(…) first, then await management.listen(…).',
    );
  }
}

const PATHS = ['/metrics', '/health', '/openapi'];

/**
 * Moves paths that only operators may see to a port of its own: the application's port answers them
 * with 404, and the management port answers all other paths with 404. They remain routes of the
 * application, with its guards and its logging. Call it before anything else that adds routes or
 * middleware.
 *
 * ```ts
 * const management = serveManagement(app);
 * await app.listen(3000);
 * await management.listen(4000);
 * ```
 */
export function serveManagement(
  app: INestApplication,
  { paths = PATHS }: ManagementOptions = {},
): Management {
  const managed = new WeakSet<IncomingMessage>();
  app.use((request: IncomingMessage, response: ServerResponse, next: () => void) => {
    if (isBelow(pathOf(request), paths) === managed.has(request)) {
      next();
      return;
    }
    response.statusCode = 404;
    response.setHeader('content-type', 'application/json; charset=utf-8');
    response.end(JSON.stringify({ statusCode: 404, message: 'Not Found' }));
  });
  return {
    listen: async (port, host) => {
      const main = app.getHttpServer() as Server;
      if (!main.listening) throw new ManagementTooEarlyError();
      const server = createServer((request, response) => {
        managed.add(request);
        main.emit('request', request, response);
      });
      main.once('close', () => {
        server.close();
        server.closeAllConnections();
      });
      // The management port alone does not keep the process alive.
      server.unref();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, resolve);
      });
      return (server.address() as AddressInfo).port;
    },
  };
}

/** Returns the path as routers compare it: without host and query, in lower case. */
function pathOf(request: IncomingMessage): string {
  const original: unknown = Reflect.get(request, 'originalUrl');
  const url = typeof original === 'string' ? original : (request.url ?? '/');
  const path = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] ?? '/';
  let decoded = path;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    // A path that cannot be decoded does not belong to the management port.
  }
  return decoded.replace(/\/{2,}/g, '/').toLowerCase();
}

function isBelow(path: string, paths: readonly string[]): boolean {
  // `/openapi-json` and `/openapi-yaml` are the document that `/openapi` shows.
  return paths.some(
    (one) => path === one || path.startsWith(`${one}/`) || path.startsWith(`${one}-`),
  );
}
