import pg from 'pg';

/** Settings of a database, as somebody may have made them, that change how values are written and read. */
const SETTINGS: Readonly<Record<string, string>> = {
  bytea_output: 'escape',
  DateStyle: 'SQL, DMY',
  IntervalStyle: 'sql_standard',
  TimeZone: 'Asia/Kathmandu',
  extra_float_digits: '-15',
  standard_conforming_strings: 'off',
  escape_string_warning: 'off',
  backslash_quote: 'off',
  search_path: 'nowhere',
  lc_numeric: 'C',
  quote_all_identifiers: 'on',
};

/** Gives every later session of the database the settings above. */
export async function makeHostile(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name');
  const name = client.escapeIdentifier(rows[0]?.name ?? '');
  for (const [setting, value] of Object.entries(SETTINGS)) {
    // A list of names is given as one; any other value as a text.
    const written = setting === 'search_path' ? value : client.escapeLiteral(value);
    await client.query(`ALTER DATABASE ${name} SET ${setting} = ${written}`);
  }
  await client.end();
}

/**
 * An application that has its own idea of how each type is read, in the whole process. Returns how to
 * end that.
 */
export function changeParsers(): () => void {
  const oids = Object.values(pg.types.builtins).filter((oid) => typeof oid === 'number');
  const before = oids.map((oid) => [oid, pg.types.getTypeParser(oid, 'text')] as const);
  for (const oid of oids) pg.types.setTypeParser(oid, () => 'read by the application');
  return () => {
    for (const [oid, parser] of before) pg.types.setTypeParser(oid, parser);
  };
}
