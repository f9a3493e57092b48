import pg from 'pg';

/** Makes the (empty) database anew in LATIN1, which lacks most characters: `€` among them. */
export async function inLatin1(url: string): Promise<void> {
  const admin = new URL(url);
  const name = pg.escapeIdentifier(admin.pathname.slice(1));
  admin.pathname = '/postgres';
  const client = new pg.Client({ connectionString: admin.href });
  await client.connect();
  await client.query(`DROP DATABASE ${name}`);
  await client.query(
    `CREATE DATABASE ${name} ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
  );
  await client.end();
}
