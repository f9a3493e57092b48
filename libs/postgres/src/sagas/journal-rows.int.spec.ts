import { describeEachPostgres } from '@sagaz/test-support';
import type { JournalEntry } from '@sagaz/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { entriesOf, entriesText, outputArrays, type OutputRow } from './journal-rows.js';
import { openSagas, schema, transition, type OpenSagas } from './sagas.fixture.js';
import { readHistories } from './saga-histories.js';

/** Legal in JavaScript, and refused where PostgreSQL reads its escapes. */
const LEGAL = JSON.stringify({ nul: 'a\0b', lone: '\ud800' });
const large = JSON.stringify({ output: 'x'.repeat(5_000) });
const labels = fc.oneof(
  fc.constantFrom('step_started', 'reserve', '],[', '"', '\\', 'null', ''),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const data = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.constantFrom('null', '[]', '{"b":1,  "a":1.0, "a":2}', '"],[\\""', LEGAL, large),
);
const entries: fc.Arbitrary<JournalEntry[]> = fc.array(
  fc.record({
    kind: labels,
    step: fc.option(labels),
    item: fc.option(labels),
    attempt: fc.nat({ max: 1_000 }),
    data: fc.option(data),
  }),
  { maxLength: 4 },
);

/** The entries as they are read from a row with this text. */
async function readBack(text: string, outputs: readonly OutputRow[] = []): Promise<JournalEntry[]> {
  const row = { saga_id: 's', revision: 1, transition_id: 't', entries: text, recorded_at: 0 };
  const read = await entriesOf([row], () => Promise.resolve(outputs));
  return (read.get('s') ?? []).map(({ kind, step, item, attempt, data }) => ({
    kind,
    step,
    item,
    attempt,
    data,
  }));
}

function outputRows(written: readonly JournalEntry[]): OutputRow[] {
  const [, ordinals, texts] = outputArrays([written]);
  return ordinals.map((ordinal, at) => ({
    saga_id: 's',
    revision: 1,
    ordinal,
    data: texts[at] ?? '',
    bytes: Buffer.byteLength(texts[at] ?? ''),
  }));
}

describe('the row of a transition', () => {
  it('gives its entries back unchanged, and is JSON', async () => {
    await fc.assert(
      fc.asyncProperty(entries, async (written) => {
        const text = entriesText(written);
        expect(JSON.parse(text)).toHaveLength(written.length);
        expect(await readBack(text, outputRows(written))).toEqual(written);
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps large data apart', () => {
    const written = [{ kind: 'step_completed', step: 'a', item: null, attempt: 1, data: large }];
    expect(entriesText(written)).toBe(`[["step_completed","a",1,${String(large.length)}]]`);
    expect(outputRows(written).map((row) => row.data)).toEqual([large]);
  });

  it('is read also where a person has mended it and its lengths are wrong', async () => {
    expect(
      await readBack(
        '[ ["adopted", null, 0, 7, {"by": 1}], ["a","b","c",1,4, 1], ["parked",null,0] ]',
      ),
    ).toEqual([
      { kind: 'adopted', step: null, item: null, attempt: 0, data: '{"by":1}' },
      { kind: 'a', step: 'b', item: 'c', attempt: 1, data: '1' },
      { kind: 'parked', step: null, item: null, attempt: 0, data: null },
    ]);
  });

  it.each([
    ['no JSON', '[["parked",null,0]', ['unreadable']],
    ['JSON of another kind', '{"a":1}', ['unreadable']],
    ['a label that is no JSON', '[["a\\q",null,0],["parked",null,0]]', ['unreadable']],
    ['one entry of another kind', '[["parked",null,0],{"a":1}]', ['parked', 'unreadable']],
    ['large data that is nowhere', '[["step_completed","a",1,9000]]', ['unreadable']],
  ])('is unreadable where it holds %s', async (_, text, kinds) => {
    expect((await readBack(text)).map(({ kind }) => kind)).toEqual(kinds);
  });
});

describeEachPostgres('PostgreSQL', (server) => {
  let open: OpenSagas;
  beforeAll(async () => {
    open = await openSagas(server);
  });
  afterAll(() => open.close());

  const inView = async (saga: string): Promise<JournalEntry[]> => {
    const { rows } = await open.pool.query<JournalEntry>({
      text: `SELECT kind, step, item, attempt, data FROM sagaz.saga_journal_readable
        WHERE saga_id = $1 AND revision > 0 ORDER BY revision, ordinal`,
      values: [saga],
    });
    return rows.map(({ kind, step, item, attempt, data }) => ({ kind, step, item, attempt, data }));
  };

  it('shows people the same entries that engines read', async () => {
    const owner = await open.engine();
    // In a label no database has it.
    const withoutNul = entries.map((written) =>
      written.filter(({ kind, step, item }) => !`${kind}${step ?? ''}${item ?? ''}`.includes('\0')),
    );
    await fc.assert(
      fc.asyncProperty(withoutNul, async (written) => {
        const [saga] = await open.started(1, owner);
        if (saga === undefined) throw new Error('unreachable');
        await open.store.flush([transition(saga, owner, { entries: written })]);
        expect(await inView(saga.id)).toEqual(written);
      }),
      { numRuns: 100 },
    );
  });

  it('shows and lists a damaged row as one unreadable entry, and the others as they are', async () => {
    const owner = await open.engine();
    const [damaged, whole] = await open.started(2, owner);
    if (damaged === undefined || whole === undefined) throw new Error('unreachable');
    await open.store.flush([transition(damaged, owner), transition(whole, owner)]);
    await open.pool.query({
      text: `UPDATE sagaz.saga_journal SET entries = '[["step' WHERE saga_id = $1 AND revision = 1`,
      values: [damaged.id],
    });
    expect(await inView(damaged.id)).toMatchObject([{ kind: 'unreadable', data: '"[[\\"step"' }]);
    const latest = await open.store.latestEntries({
      ids: [damaged.id, whole.id],
      transitions: 100,
      dataOf: [],
    });
    const kindsOf = (id: string) => latest.get(id)?.map(({ kind }) => kind);
    expect(kindsOf(damaged.id)).toEqual(['started', 'unreadable']);
    expect(kindsOf(whole.id)).toEqual(['started', 'step']);
    const read = await readHistories(open.pool, schema, [damaged.id], 'read');
    expect(read.get(damaged.id)?.map(({ kind }) => kind)).toEqual(['started', 'unreadable']);
  });

  it('reads no large data for a list that asks for none of it', async () => {
    const owner = await open.engine();
    const [saga] = await open.started(1, owner);
    if (saga === undefined) throw new Error('unreachable');
    const huge = JSON.stringify('y'.repeat(1_000_000));
    const entry = { kind: 'step_completed', step: 'a', item: null, attempt: 1, data: huge };
    await open.store.flush([transition(saga, owner, { entries: [entry] })]);
    const { rows } = await open.pool.query<{ bytes: number }>({
      text: 'SELECT octet_length(entries) AS bytes FROM sagaz.saga_journal WHERE saga_id = $1 AND revision = 1',
      values: [saga.id],
    });
    expect(rows[0]?.bytes).toBeLessThan(100);
    expect((await open.store.history(saga.id)).at(-1)?.data).toBe(huge);
  });
});
