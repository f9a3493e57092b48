import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * Counts the round trips between clients and a database: how often a client sends something after the
 * server has answered it.
 */
export class CountingProxy {
  /** The given url, by way of the proxy. */
  readonly url: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #roundTrips = 0;

  private constructor(server: Server, target: URL) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    const through = new URL(target);
    through.hostname = '127.0.0.1';
    through.port = String(port);
    this.url = through.href;
    server.on('connection', (client) => this.#join(client, target));
  }

  static async before(url: string): Promise<CountingProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CountingProxy(server, new URL(url));
  }

  /** How many round trips the work takes, on all connections but those that Sagaz has opened itself. */
  async during(work: () => Promise<unknown>): Promise<number> {
    const before = this.#roundTrips;
    await work();
    return this.#roundTrips - before;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, url: URL): void {
    const target = connect(Number(url.port || 5432), url.hostname);
    let ofSagaz: boolean | null = null;
    let answered = true;
    for (const socket of [client, target]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.on('data', (data) => {
      // The first message names the application.
      ofSagaz ??= data.includes('application_name\0sagaz');
      if (answered && !ofSagaz) this.#roundTrips += 1;
      answered = false;
      target.write(data);
    });
    target.on('data', (data) => {
      answered = true;
      client.write(data);
    });
  }
}
