import type { HttpAdapterHost } from '@nestjs/core';
import type { Logger } from '@sagaz/core';

/**
 * The requests an HTTP server has open when the application stops. Nest waits for them without a limit:
 * one that hangs, or a client that keeps its connection busy, would hold the process until it is killed.
 */
export class OpenRequests {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly host: HttpAdapterHost | undefined,
    private readonly logger: Logger,
  ) {}

  /** Closes what is open after this time. */
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

  /** All are answered. */
  done(): void {
    clearTimeout(this.#timer);
  }
}
