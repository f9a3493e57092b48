// Stands in for psql where a machine has none: `psql URL -c SQL -c SQL` prints rows as `a | b`.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { Client } = createRequire(join(process.cwd(), 'package.json'))('pg');
const [connectionString, ...args] = process.argv.slice(2);
const client = new Client({ connectionString });
await client.connect();
for (const text of args.filter((arg) => arg !== '-c')) {
  const { rows } = await client.query({ text, rowMode: 'array' });
  for (const row of rows) console.log(row.join(' | '));
}
await client.end();
