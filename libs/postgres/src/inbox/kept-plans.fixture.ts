import type pg from 'pg';
import type { QueryResult, QueryResultRow } from 'pg';
import type { Queryable, Statement } from '../connection/index.js';

/** A node of a plan, as EXPLAIN tells it. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

interface Explained {
  readonly 'QUERY PLAN': readonly [{ readonly Plan: PlanNode }];
}

/**
 * Runs statements in one session, and tells which of them read the whole table of messages. A statement that the
 * store prepares keeps the plan of its first run.
 */
export class KeptPlans implements Queryable {
  readonly #client: pg.Client;
  readonly #prepared = new Map<string, string>();
  #scanned: string[] = [];

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** The statements of the call that read all messages, in a transaction of the caller. */
  async scannedBy(call: () => Promise<unknown>): Promise<readonly string[]> {
    this.#scanned = [];
    await call();
    return this.#scanned;
  }

  async query<R extends QueryResultRow>({
    name,
    text,
    values,
  }: Statement): Promise<QueryResult<R>> {
    if (/^\s*(WITH|SELECT|INSERT|UPDATE|DELETE)/i.test(text))
      await this.#explain(name, text, values);
    return this.#client.query<R>({ text, ...(values === undefined ? {} : { values }) });
  }

  async #explain(
    name: string | undefined,
    text: string,
    values: unknown[] | undefined,
  ): Promise<void> {
    await this.#client.query('SAVEPOINT explained');
    const { rows } =
      name === undefined
        ? await this.#client.query<Explained & QueryResultRow>({
            text: `EXPLAIN (FORMAT JSON) ${text}`,
            ...(values === undefined ? {} : { values }),
          })
        : await this.#client.query<Explained & QueryResultRow>(
            `EXPLAIN (FORMAT JSON) EXECUTE ${await this.#prepare(text)}${this.#literals(values ?? [])}`,
          );
    await this.#client.query('ROLLBACK TO SAVEPOINT explained');
    const plan = rows[0]?.['QUERY PLAN'][0].Plan;
    if (plan !== undefined && scansMessages(plan)) this.#scanned.push(text);
  }

  /** Prepares it once, with the session, so that a rollback keeps it. */
  async #prepare(text: string): Promise<string> {
    const known = this.#prepared.get(text);
    if (known !== undefined) return known;
    const name = `kept_${String(this.#prepared.size)}`;
    this.#prepared.set(text, name);
    await this.#client.query(`PREPARE ${name} AS ${text}`);
    return name;
  }

  #literals(values: readonly unknown[]): string {
    if (values.length === 0) return '';
    const literals = values.map((value) => {
      if (value === null || value === undefined) return 'NULL';
      return this.#client.escapeLiteral(textOf(value));
    });
    return `(${literals.join(', ')})`;
  }
}

/** A value as a text of PostgreSQL. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return JSON.stringify(value);
  const bytes = value.map((one: unknown) => (Buffer.isBuffer(one) ? one.toString('hex') : ''));
  return `{${bytes.map((hex) => `"\\\\x${hex}"`).join(',')}}`;
}

function scansMessages(node: PlanNode): boolean {
  const here = node['Node Type'] === 'Seq Scan' && node['Relation Name'] === 'message';
  return here || (node.Plans ?? []).some(scansMessages);
}
