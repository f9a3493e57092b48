import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '@sagaz/test-support/embedded-postgres';
import pg from 'pg';

/** A PostgreSQL of the run's own, with nothing turned down: fsync and synchronous_commit are on. */
export class BenchServer {
  private made = 0;

  private constructor(private readonly postgres: EmbeddedPostgres) {}

  static async start(): Promise<BenchServer> {
    return new BenchServer(
      await startEmbeddedPostgres({
        flags: {
          max_connections: 200,
          shared_buffers: '2GB',
          max_wal_size: '8GB',
          checkpoint_timeout: '30min',
        },
      }),
    );
  }

  /** A fresh, empty database. */
  async database(): Promise<string> {
    this.made += 1;
    const name = `bench_${String(this.made)}`;
    await withClient(this.postgres.url, (client) => client.query(`CREATE DATABASE ${name}`));
    const url = new URL(this.postgres.url);
    url.pathname = `/${name}`;
    return url.href;
  }

  async settings(): Promise<string> {
    const rows = await withClient(this.postgres.url, async (client) => {
      const { rows } = await client.query<{ name: string; setting: string }>(
        `SELECT name, setting FROM pg_settings
          WHERE name IN ('server_version', 'synchronous_commit', 'fsync', 'shared_buffers')
          ORDER BY name`,
      );
      return rows;
    });
    return rows.map(({ name, setting }) => `${name}=${setting}`).join(' ');
  }

  stop(): Promise<void> {
    return this.postgres.stop();
  }
}

export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
