import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

interface Pair {
  readonly client: Socket;
  readonly target: Socket;
  silent: boolean;
}

/**
 * A proxy that can forget connections as a firewall or a NAT does: data sent on them is lost in both
 * directions, and neither side is told.
 */
export class SilentProxy {
  /** The given url, by way of the proxy. */
  readonly url: string;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #targets = new Set<Socket>();
  #silent = false;

  private constructor(server: Server, target: URL) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    const through = new URL(target);
    through.hostname = '127.0.0.1';
    through.port = String(port);
    this.url = through.href;
    server.on('connection', (client) => this.#join(client, target));
  }

  /** @param port where it listens; any that is free where none is given */
  static async before(url: string, port = 0): Promise<SilentProxy> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    server.removeAllListeners('error');
    return new SilentProxy(server, new URL(url));
  }

  /** The number of connections that are open now; a forgotten one counts until the client closes it. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Those of them that were forgotten and that their clients have not closed. */
  get forgotten(): number {
    return [...this.#pairs].filter(({ silent }) => silent).length;
  }

  /** Forgets the connections that are open now; new ones work. Returns how many were forgotten. */
  forget(): number {
    for (const pair of this.#pairs) pair.silent = true;
    return this.#pairs.size;
  }

  /** Whether new connections are accepted and then never answered. */
  silence(on: boolean): void {
    this.#silent = on;
    if (on) this.forget();
  }

  async close(): Promise<void> {
    for (const { client } of this.#pairs) client.destroy();
    for (const target of this.#targets) target.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, url: URL): void {
    const target = connect(Number(url.port || 5432), url.hostname);
    const pair: Pair = { client, target, silent: this.#silent };
    this.#pairs.add(pair);
    this.#targets.add(target);
    client.on('data', (data) => {
      if (!pair.silent) target.write(data);
    });
    target.on('data', (data) => {
      if (!pair.silent) client.write(data);
    });
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => {
        // The other side is not told of the end of a forgotten connection either.
        if (!pair.silent) other.destroy();
        if (one === client) this.#pairs.delete(pair);
        else this.#targets.delete(target);
      });
    }
  }
}
