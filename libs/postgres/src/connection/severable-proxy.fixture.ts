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
export async function severableProxy(
  database: string,
  options: { readonly refusesSettings?: boolean } = {},
): Promise<SeverableProxy> {
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
      // The answer of PgBouncer to a start-up parameter that it does not track.
      if (options.refusesSettings === true && data.includes('statement_timeout')) {
        client.end(startUpRefusal());
        return;
      }
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

function startUpRefusal(): Buffer {
  const fields = ['SFATAL', 'C08P01', 'Munsupported startup parameter: statement_timeout', ''];
  const body = Buffer.from(`${fields.join('\0')}\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
