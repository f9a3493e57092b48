import { createDatabase, describeEachPostgres, type TestDatabase } from '@sagaz/test-support';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withArraysAsText } from './array-text.js';

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom(
      '"',
      '\\',
      ',',
      '{',
      '}',
      ' ',
      '\n',
      '\u0001',
      '\u007f',
      'é',
      '😀',
      '\ud83d',
      'N',
    ),
    maxLength: 20,
  }),
  fc.constantFrom('', 'NULL', 'null', ' ', `"${'x'.repeat(600)}\\"`, `${'ä'.repeat(600)}\n"`),
);

describe('arrays of parameters', () => {
  it('are left to the client where they hold anything else than texts, numbers and booleans', () => {
    const left = [[Buffer.from('a')], [new Date(0)], [['nested']], [1n], [undefined], 'text', null];
    expect(withArraysAsText(left)).toEqual(left);
  });
});

describeEachPostgres('PostgreSQL reads arrays', (server) => {
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createDatabase(server);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const sameAsOfTheClient = async (
    type: string,
    elements: readonly unknown[],
  ): Promise<boolean> => {
    const [written] = withArraysAsText([elements]);
    if (typeof written !== 'string') throw new Error('It was left to the client.');
    const { rows } = await client.query<{ same: boolean; n: number }>(
      `SELECT $1::${type}[] IS NOT DISTINCT FROM $2::${type}[] AS same, cardinality($1::${type}[]) AS n`,
      [written, elements],
    );
    return rows[0]?.same === true && rows[0].n === elements.length;
  };

  it('of texts as those that the client writes', async () => {
    const withoutZero = texts.map((text) => text.replaceAll('\0', '0'));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(withoutZero), { maxLength: 8 }), (elements) =>
        sameAsOfTheClient('text', elements),
      ),
      { numRuns: 1_000 },
    );
  });

  it('of numbers and booleans as those that the client writes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(fc.double()), { maxLength: 8 }), (elements) =>
        sameAsOfTheClient('double precision', elements),
      ),
    );
    expect(await sameAsOfTheClient('boolean', [true, null, false])).toBe(true);
    expect(await sameAsOfTheClient('bigint', [Number.MAX_SAFE_INTEGER, null, 0])).toBe(true);
  });

  it('of texts that no database holds with the error that the client meets', async () => {
    const [written] = withArraysAsText([['a\0"b']]);
    await expect(client.query('SELECT $1::text[]', [written])).rejects.toMatchObject({
      code: '22021',
    });
  });
});
