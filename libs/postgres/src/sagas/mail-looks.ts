import type { Mail, MailFound, MailLook } from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';
import { definitionsOf, type Definitions } from './definitions.js';
import { mailOf, type MailRow } from './saga-mail.js';

/** The place of mail in the order in which it is read: its transaction, then its number. */
type Place = readonly [xact: string, id: string];

/** Where a look begins. */
interface Mark {
  /** The place after which the look begins. */
  readonly after: Place;
  /** Where the next pass begins: null in the first look of a pass, which finds it out. */
  readonly floor: string | null;
}

interface FoundRow extends MailRow {
  readonly xact: string;
  readonly owned: boolean;
  readonly wakes: boolean;
  /** Whether the mail of owned sagas up to this one fits into the bound in bytes. */
  readonly fits: boolean;
}

/** A row of a look; one without mail says where the next pass begins all the same. */
type LookRow = { readonly xmin: string } & (FoundRow | { readonly id: null });

const START: Mark = { after: ['0', '0'], floor: null };
const LETTERS = 500;
const ANY_BYTES = 2 ** 50;

/**
 * Looks for new mail, for an engine and whatever it could claim. A pass over the mail begins where every
 * transaction has ended that could still write before: at the lowest number of a transaction that was
 * running when the pass before began (its floor). All that has a lower number was visible then, and was
 * read. A cursor on the number of a letter would not do, since the transaction with the lower number may
 * commit after the one with the higher. A pass has as many looks as the mail has pages; within it, each
 * goes on behind the last place of the one before.
 *
 * Mail is found by the definition of its saga. What was written without it (definition 0), every engine
 * reads. Sagas are looked up one by one along their primary key, however stale the statistics are.
 */
export class MailLooks {
  readonly #pool: Queryable;
  readonly #schema: SchemaName;
  readonly #definitions: Definitions;

  constructor(pool: Queryable, schema: SchemaName, definitions: Definitions) {
    this.#pool = pool;
    this.#schema = schema;
    this.#definitions = definitions;
  }

  async look(look: MailLook): Promise<MailFound> {
    const schema = this.#schema.quoted;
    const { incarnation, limit = LETTERS, bytes = ANY_BYTES } = look;
    const mark = readMark(look.from);
    const numbers = await this.#definitions.numbersOf(definitionsOf(look.definitions, look.format));
    const { rows } = await this.#pool.query<LookRow>({
      text: `WITH found AS MATERIALIZED (
          SELECT m.* FROM unnest($2::int[]) AS d (number) CROSS JOIN LATERAL (
            SELECT m.xact, m.id, m.saga_id, m.kind, m.dedupe_key, m.data, m.format FROM ${schema}.saga_mail m
            WHERE m.definition = d.number AND (m.xact, m.id) > ($3::xid8, $4::bigint)
            ORDER BY m.xact, m.id LIMIT $5
          ) AS m
          ORDER BY m.xact, m.id LIMIT $5
        ), sized AS MATERIALIZED (
          SELECT m.*, coalesce(s.owner = $1, false) AS owned,
            CASE WHEN s.id IS NOT NULL THEN s.owner IS NULL AND s.definition = ANY ($2)
              ELSE e.definition = ANY ($2) END AND m.format <= $7 AS wakes,
            sum(CASE WHEN s.owner = $1 THEN octet_length(m.data) ELSE 0 END) OVER (
              ORDER BY m.xact, m.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS before
          FROM found m
          LEFT JOIN LATERAL (
            SELECT s.id, s.owner, s.definition FROM ${schema}.saga s WHERE s.id = m.saga_id OFFSET 0
          ) s ON true
          LEFT JOIN LATERAL (
            SELECT e.definition FROM ${schema}.saga_ended e
            WHERE m.kind = 'late' AND s.id IS NULL AND e.id = m.saga_id OFFSET 0
          ) e ON true
        )
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin, m.xact::text AS xact, m.id, m.saga_id,
          m.kind, m.dedupe_key, m.format, m.owned, coalesce(m.wakes, false) AS wakes,
          m.before IS NULL OR m.before < $6::bigint AS fits,
          CASE WHEN m.owned AND (m.before IS NULL OR m.before < $6::bigint) THEN m.data END AS data
        FROM (SELECT) AS always LEFT JOIN sized m ON true
        ORDER BY m.xact, m.id`,
      values: [incarnation, [...numbers, 0], ...mark.after, limit, bytes, look.format],
    });
    const floor = mark.floor ?? rows[0]?.xmin ?? '0';
    const letters = rows.flatMap((row) => (row.id === null ? [] : [row]));
    const cut = letters.findIndex(({ fits }) => !fits);
    const read = cut < 0 ? letters : letters.slice(0, cut);
    const more = cut >= 0 || letters.length >= limit;
    const last = read.at(-1);
    const next: Mark =
      more && last !== undefined
        ? { after: [last.xact, last.id], floor }
        : { after: [floor, '0'], floor: null };
    return {
      mail: read.flatMap((row): Mail[] => (row.owned ? [mailOf(row)] : [])),
      wakes: [...new Set(read.filter(({ wakes }) => wakes).map((row) => row.saga_id))],
      mark: markText(next),
      more,
    };
  }
}

function markText({ after, floor }: Mark): string {
  return [...after, floor ?? ''].join(':');
}

function readMark(text: string | null): Mark {
  if (text === null) return START;
  const [xact = '0', id = '0', floor = ''] = text.split(':');
  return { after: [xact, id], floor: floor === '' ? null : floor };
}
