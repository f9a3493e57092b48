import net from 'node:net';

export interface SeverableProxy {
  /** The url of the database, by way of the proxy. */
  readonly url: string;
  /** Passes one more piece of data to the server, then cuts the way back. */
  severAfterNextRequest(): void;
  /** Destroys the sockets of the clients; the server does not hear of it. */
  sever(): void;
  close(): Promise<void>;
}

/** A way to a database that can be cut, so that the server goes on and its client is gone. */
export async function severableProxy(database: string): Promise<SeverableProxy> {
  const target = new URL(database);
  const clients = new Set<net.Socket>();
  const upstreams = new Set<net.Socket>();
  let sever = false;
  const proxy = net.createServer((client) => {
    const upstream = net.connect(Number(target.port || 5432), target.hostname);
    clients.add(client);
    upstreams.add(upstream);
    client.on('error', () => undefined);
    upstream.on('error', () => undefined);
    upstream.on('data', (data) => {
      if (!sever) client.write(data);
    });
    upstream.on('close', () => client.destroy());
    client.on('data', (data) => {
      upstream.write(data, () => {
        if (sever) client.destroy();
      });
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = new URL(database);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  return {
    url: url.href,
    severAfterNextRequest: () => {
      sever = true;
    },
    sever: () => {
      sever = true;
      for (const client of clients) client.destroy();
    },
    close: async () => {
      for (const socket of [...clients, ...upstreams]) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
