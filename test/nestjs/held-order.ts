import pg from 'pg';

/** Adds the order 'held', and holds the lock of its row in an open transaction of the returned client. */
export async function heldOrder(url: string): Promise<pg.Client> {
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  await holder.query("INSERT INTO orders (id) VALUES ('held')");
  await holder.query('BEGIN');
  await holder.query("SELECT FROM orders WHERE id = 'held' FOR UPDATE");
  return holder;
}
