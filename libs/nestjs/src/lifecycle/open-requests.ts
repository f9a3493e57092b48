import type { HttpAdapterHost } from '@nestjs/core';
import type { Logger } from '@sagaz/core';

/**
 * Closes the requests that an HTTP server has open when the application stops. Nest waits for them
 * without a limit, so a request that hangs, or a client that keeps its connection busy, would keep the
 * process alive until it is killed.
 */
export class OpenRequests {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly host: HttpAdapterHost | undefined,
    private readonly logger: Logger,
  ) {}

  /** Closes connections that are still open after this time, in milliseconds. */
  closeAfter(ms: number): void {
    // An application without HTTP has no adapter, whatever the type says.
    const adapter: HttpAdapterHost['httpAdapter'] | undefined = this.host?.httpAdapter;
    const server: unknown = adapter?.getHttpServer();
    if (typeof server !== 'object' || server === null) return;
    const close: unknown = Reflect.get(server, 'closeAllConnections');
    if (typeof close !== 'function') return;
    this.#timer = setTimeout(() => {
      this.logger.warn(
        'HTTP requests were still open at the end of the shutdown timeout; their connections are closed.',
      );
      Reflect.apply(close, server, []);
    }, ms);
    // The connections keep the process alive, as long as there are any.
    this.#timer.unref();
  }

  /** All requests are answered, so nothing is left to close. */
  done(): void {
    clearTimeout(this.#timer);
  }
}
