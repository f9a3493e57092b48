import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A proxy between a process and a server that disturbs their connections as networks do. */
export class TcpProxy {
  readonly #pairs = new Set<{ readonly near: Socket; readonly far: Socket }>();
  #away = false;

  private constructor(
    private readonly server: Server,
    private readonly targetPort: number,
  ) {
    server.on('connection', (near) => this.#accept(near));
  }

  static async open(targetPort: number): Promise<TcpProxy> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new TcpProxy(server, targetPort);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The same URL, but through this proxy. */
  through(url: string): string {
    const own = new URL(url);
    own.hostname = '127.0.0.1';
    own.port = String(this.port);
    return own.href;
  }

  /** From now on the open connections carry no data, and neither side is told; new connections work. */
  blackHole(): () => void {
    const held = [...this.#pairs];
    for (const { near, far } of held) {
      for (const socket of [near, far]) {
        socket.unpipe();
        socket.pause();
      }
    }
    return () => held.forEach(destroy);
  }

  /** Breaks every open connection. */
  cut(): void {
    this.#pairs.forEach(destroy);
  }

  /** Breaks every open connection, and new ones too until {@link back}. */
  away(): void {
    this.#away = true;
    this.cut();
  }

  back(): void {
    this.#away = false;
  }

  close(): void {
    this.server.close();
    this.cut();
  }

  #accept(near: Socket): void {
    near.on('error', () => undefined);
    if (this.#away) {
      near.destroy();
      return;
    }
    const far = connect(this.targetPort, '127.0.0.1');
    far.on('error', () => undefined);
    const pair = { near, far };
    this.#pairs.add(pair);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.once('close', () => {
        this.#pairs.delete(pair);
        destroy(pair);
      });
    }
    near.pipe(far);
    far.pipe(near);
  }
}

function destroy({ near, far }: { readonly near: Socket; readonly far: Socket }): void {
  near.destroy();
  far.destroy();
}
