import { withClient } from '../server.js';

const INSERT = 'INSERT INTO business (content) VALUES ($1)';
const CONTENT = 'x'.repeat(200);

/** Runs a statement on a transaction's own connection: an `EntityManager` of TypeORM. */
export interface Queries {
  query(text: string, values: unknown[]): Promise<unknown>;
}

/** The statement of the application's own that every transaction of the bench consists of. */
export async function business(manager: Queries): Promise<void> {
  await manager.query(INSERT, [CONTENT]);
}

/**
 * Makes the table of the business, and two for the least that could be done instead of an outbox and an
 * inbox: `plain` takes the columns of a message and has nothing but a primary key, `seen` takes its id.
 */
export async function createBusinessTables(url: string): Promise<void> {
  await withClient(url, (client) =>
    client.query(`CREATE TABLE business (id bigserial PRIMARY KEY, content text NOT NULL);
      CREATE TABLE plain (
        seq bigserial, slot smallint NOT NULL, id text NOT NULL, tenant text NOT NULL, topic text NOT NULL,
        key text NOT NULL, type text NOT NULL, source text NOT NULL, time text NOT NULL,
        content_type text NOT NULL, headers json NOT NULL, payload bytea NOT NULL,
        PRIMARY KEY (slot, seq));
      CREATE TABLE seen (id text PRIMARY KEY)`),
  );
}
