import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const COMMIT = 'COMMIT\0';

/** The statement with which a connection is to be forgotten. */
interface Forgets {
  /** A part of the statement's text. */
  readonly text: string;
  readonly when: 'before' | 'after';
  /** Whose connection: one of the application's own pool, or any. */
  readonly of: 'application' | 'any';
  /** `cut`: the connection ends, and both sides are told. */
  readonly how: 'forget' | 'cut';
  readonly done: () => void;
}

/**
 * Stands between an application and its database, and cuts a connection at the worst moment: COMMIT
 * has reached the server, its answer never comes back. Or it forgets the connection there, as a firewall
 * does, and tells nobody.
 */
export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cuts = 0;
  #forgets: Forgets | null = null;
  #frozen = false;
  readonly #forgotten = new Set<Socket>();

  private constructor(
    readonly url: string,
    server: Server,
  ) {
    this.#server = server;
  }

  static async before(url: string): Promise<CuttingProxy> {
    const target = new URL(url);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String((server.address() as AddressInfo).port);
    const proxy = new CuttingProxy(through.href, server);
    server.on('connection', (client) => proxy.#join(client, target));
    return proxy;
  }

  /** The next COMMIT of the application's own pool is answered to nobody. */
  cutNextCommit(): void {
    this.#cuts += 1;
  }

  /**
   * The next COMMIT of the application's own pool comes through, or not, and nothing after it, in
   * silence. Resolves when that COMMIT has been sent.
   */
  forgetNextCommit(when: 'before' | 'after'): Promise<void> {
    return this.forgetNext(COMMIT, when);
  }

  /** The same with the next statement of the application's own pool that contains the text. */
  forgetNext(text: string, when: 'before' | 'after' = 'before'): Promise<void> {
    return new Promise((done) => {
      this.#forgets = { text, when, of: 'application', how: 'forget', done };
    });
  }

  /**
   * The next statement on any connection that contains the text does not come through, and its connection
   * is forgotten or cut. Resolves then.
   */
  loseNext(text: string, how: 'forget' | 'cut'): Promise<void> {
    return new Promise((done) => {
      this.#forgets = { text, when: 'before', of: 'any', how, done };
    });
  }

  /** From now on nothing comes through, on no connection, and nobody is told: a server that hangs. */
  freeze(): void {
    this.#frozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** All that was held back goes on. */
  thaw(): void {
    this.#frozen = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Connections that were forgotten and that the client has not closed. */
  get forgotten(): number {
    return this.#forgotten.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, target: URL): void {
    const database = connect(Number(target.port), target.hostname);
    let ofSagaz: boolean | null = null;
    let cut = false;
    let forgotten = false;
    for (const socket of [client, database]) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        database.destroy();
      });
    }
    client.on('data', (chunk) => {
      // The first message names the application.
      ofSagaz ??= chunk.includes('application_name\0sagaz');
      if (!ofSagaz && this.#cuts > 0 && chunk.includes(COMMIT)) {
        this.#cuts -= 1;
        cut = true;
      }
      const forgets = this.#forgets;
      if (forgets !== null && (forgets.of === 'any' || !ofSagaz) && chunk.includes(forgets.text)) {
        if (forgets.when === 'after') database.write(chunk);
        this.#forgets = null;
        forgets.done();
        if (forgets.how === 'cut') {
          client.destroy();
          return;
        }
        forgotten = true;
        this.#forgotten.add(client);
        // Neither side hears of the end of the other.
        for (const socket of [client, database]) socket.removeAllListeners('close');
        database.on('close', () => this.#sockets.delete(database));
        client.on('close', () => {
          this.#forgotten.delete(client);
          this.#sockets.delete(client);
        });
      }
      if (!forgotten) database.write(chunk);
    });
    database.on('data', (chunk) => {
      if (cut) client.destroy();
      else if (!forgotten) client.write(chunk);
    });
    if (this.#frozen) for (const socket of [client, database]) socket.pause();
  }
}
