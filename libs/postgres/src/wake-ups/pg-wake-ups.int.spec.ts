import { createServer, connect, type Server, type Socket } from 'node:net';
import { systemClock, type Clock, type Logger } from '@sagaz/core';
import { VirtualClock } from '@sagaz/core/testing';
import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { SagazPool, schemaName } from '../connection/index.js';
import { PgWakeUps } from './index.js';

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Passes bytes on until it goes deaf: then connections stay open and nothing comes through. */
class Proxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  accepted = 0;
  #deaf = false;

  constructor(target: URL) {
    this.#server = createServer((socket) => {
      this.accepted += 1;
      const onward = connect(Number(target.port || 5432), target.hostname);
      for (const end of [socket, onward]) {
        this.#sockets.add(end);
        end.on('error', () => undefined);
        end.on('close', () => {
          socket.destroy();
          onward.destroy();
        });
      }
      socket.on('data', (bytes) => {
        if (!this.#deaf) onward.write(bytes);
      });
      onward.on('data', (bytes) => {
        if (!this.#deaf) socket.write(bytes);
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  goDeaf(): void {
    this.#deaf = true;
  }

  hearAgain(): void {
    this.#deaf = false;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describeEachPostgres('wake-ups', (server) => {
  let database: TestDatabase;
  let pool: SagazPool;
  const open: PgWakeUps[] = [];
  const settings = {
    applicationName: 'sagaz test',
    connectTimeoutMs: 2_000,
    statementTimeoutMs: 0,
  };

  beforeAll(async () => {
    database = await createDatabase(server);
    pool = new SagazPool({
      source: { kind: 'url', url: database.url },
      max: 2,
      logger: quiet,
      ...settings,
    });
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });

  function process(
    options: { schema?: string; url?: string; heartbeatMs?: number; clock?: Clock } = {},
  ): PgWakeUps {
    const wakeUps = new PgWakeUps({
      source: { kind: 'url', url: options.url ?? database.url },
      settings,
      pool,
      schema: schemaName(options.schema ?? 'sagaz'),
      clock: options.clock ?? systemClock,
      logger: quiet,
      ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
    });
    open.push(wakeUps);
    return wakeUps;
  }

  async function listening(wakeUps: PgWakeUps): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      const off = wakeUps.on('outbox', () => {
        off();
        resolve();
      });
    });
    await wakeUps.start();
    if (!wakeUps.listening) await heard;
  }

  function next(wakeUps: PgWakeUps, channel: 'outbox' | 'ended'): Promise<string | undefined> {
    return new Promise((resolve) => {
      const off = wakeUps.on(channel, (detail) => {
        off();
        resolve(detail);
      });
    });
  }

  it('wakes the own process before anything is sent, and another one soon', async () => {
    const [a, b] = [process(), process()];
    await Promise.all([listening(a), listening(b)]);
    const here = next(a, 'ended');
    const there = next(b, 'ended');
    a.hint('ended', 'saga 1');
    expect(await here).toBe('saga 1');
    expect(await there).toBe('saga 1');
  });

  it('speaks also while it cannot listen', async () => {
    const b = process();
    await listening(b);
    const there = next(b, 'ended');
    process().hint('ended', 'saga 2');
    expect(await there).toBe('saga 2');
  });

  it('says a thousand hints of one moment in few notifications, none of them too long', async () => {
    const [a, b] = [process(), process()];
    await Promise.all([listening(a), listening(b)]);
    const heard: (string | undefined)[] = [];
    const all = new Promise<void>((resolve) => {
      b.on('ended', (detail) => {
        heard.push(detail);
        resolve();
      });
    });
    for (let i = 0; i < 1_000; i += 1) a.hint('ended', `saga-${String(i)}-${'x'.repeat(30)}`);
    await all;
    expect(heard).toEqual([undefined]);
  });

  it('keeps the schemas of one database apart', async () => {
    const [a, other, same] = [process(), process({ schema: 'elsewhere' }), process()];
    await Promise.all([listening(a), listening(other), listening(same)]);
    let disturbed = false;
    other.on('ended', () => {
      disturbed = true;
    });
    const there = next(same, 'ended');
    a.hint('ended', 'saga 3');
    await there;
    expect(disturbed).toBe(false);
  });

  it('finds out that it is deaf, opens another connection, and wakes everybody then', async () => {
    const target = new URL(database.url);
    const proxy = new Proxy(target);
    const url = new URL(database.url);
    url.hostname = '127.0.0.1';
    url.port = String(await proxy.listen());
    try {
      const clock = new VirtualClock();
      const a = process({ url: url.href, heartbeatMs: 5_000, clock });
      await listening(a);
      const before = proxy.accepted;
      proxy.goDeaf();
      // Half-open: no end, no error; only the proof that it asks for and does not get tells.
      await clock.advance(5_000);
      expect(a.listening).toBe(true);
      await clock.advance(5_000);
      expect(a.listening).toBe(false);
      const woken = next(a, 'outbox');
      proxy.hearAgain();
      await clock.advance(100);
      expect(await woken).toBeUndefined();
      expect(a.listening).toBe(true);
      expect(proxy.accepted).toBeGreaterThan(before);
    } finally {
      proxy.close();
    }
  });

  it('tells no other process what one here sees to', async () => {
    const [a, b] = [process(), process()];
    await Promise.all([listening(a), listening(b)]);
    const heard: (string | undefined)[] = [];
    b.on('outbox', (detail) => {
      heard.push(detail);
    });
    const off = a.on('outbox', (detail) => detail === '7');
    const last = next(b, 'ended');
    a.hint('outbox', '7');
    a.hint('outbox', '8');
    a.hint('ended', 'saga 5');
    expect(await last).toBe('saga 5');
    expect(heard).toEqual(['8']);
    off();
    const again = next(b, 'ended');
    a.hint('outbox', '7');
    a.hint('ended', 'saga 6');
    await again;
    expect(heard).toEqual(['8', '7']);
  });

  it('says what was hinted at in the moment in which it is closed', async () => {
    const [a, b] = [process(), process()];
    await Promise.all([listening(a), listening(b)]);
    const there = next(b, 'ended');
    a.hint('ended', 'saga 7');
    await a.close();
    expect(await there).toBe('saga 7');
  });

  it('goes on when a listener throws', async () => {
    const a = process();
    a.on('ended', () => {
      throw new Error('of the listener');
    });
    const second = next(a, 'ended');
    a.hint('ended', 'saga 4');
    expect(await second).toBe('saga 4');
  });
});
