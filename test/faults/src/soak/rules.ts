import { SCHEMAS } from './tables.js';
import { leaseOf } from './trail.js';

const { orders, stock, broker } = SCHEMAS;
export const ENDED = `('completed', 'compensated', 'partially_committed', 'terminated', 'needs_attention')`;
const DUE_KIND = `CASE WHEN key LIKE 'good-%' THEN 'completed' ELSE 'compensated' END`;

/** The effects that are due for each order, by its kind. */
const LOCAL_DUE = `
  SELECT key AS order_id, step FROM ${orders}.saga_all
    CROSS JOIN LATERAL unnest(CASE WHEN key LIKE 'good-%' THEN ARRAY['accept', 'confirm'] ELSE ARRAY['accept', 'reject'] END) AS step`;
const HANDLED_DUE = `
  SELECT key AS order_id, type FROM ${orders}.saga_all
    CROSS JOIN LATERAL unnest(CASE
      WHEN key LIKE 'good-%' THEN ARRAY['order.accept', 'stock.reserve', 'order.confirm']
      WHEN key LIKE 'bad-%' THEN ARRAY['order.accept', 'stock.reserve', 'stock.release', 'order.reject']
      ELSE ARRAY['order.accept', 'order.reject'] END) AS type`;

/** Selects the effects that are not there as often as they are due. */
function differences(due: string, done: string, columns: string): string {
  const times = (of: string): string =>
    `(SELECT ${columns}, count(*)::int AS times FROM (${of}) AS l GROUP BY ${columns})`;
  return `SELECT ${columns}, coalesce(d.times, 0) AS due, coalesce(e.times, 0) AS done
    FROM ${times(due)} AS d FULL JOIN ${times(done)} AS e USING (${columns})
    WHERE coalesce(d.times, 0) <> coalesce(e.times, 0)`;
}

/** A table of messages, and how its slots are served. */
interface Queue {
  readonly schema: string;
  readonly table: string;
  /** SQL of the consumer group of a row `m`. */
  readonly group: string;
  /** SQL of the queue that the slots of a row `m` belong to. */
  readonly queue: string;
  /** SQL of the numbers of the oldest rows: one for each group. */
  readonly oldest: string;
}
const GROUP = `(SELECT g.name FROM ${broker}.queue g WHERE g.id = m.queue)`;
const outboxOf = (schema: string): Queue => ({
  schema,
  table: `${schema}.message`,
  group: 'NULL::text',
  queue: `(SELECT g.name FROM ${schema}.queue g WHERE g.id = m.queue)`,
  oldest: `SELECT seq FROM ${schema}.message WHERE lane <> 5 ORDER BY created_at LIMIT 1`,
});
const ORDERS_OUTBOX = outboxOf(orders);
const STOCK_OUTBOX = outboxOf(stock);
const GROUPS: Queue = {
  schema: broker,
  table: `${broker}.message`,
  group: GROUP,
  queue: GROUP,
  oldest: `SELECT DISTINCT ON (queue) seq FROM ${broker}.message
    WHERE lane <> 5 ORDER BY queue, created_at`,
};

function messages({ schema, table, group, queue }: Queue, where: string): string {
  return `SELECT '${table}' AS place, ${group} AS consumer_group, m.id, m.topic, m.key, m.type,
      ${schema}.lane_status(m.lane) AS status, m.seq,
      m.slot, m.attempts, m.created_at, m.due_at, m.died_at, m.reason, m.error,
      ${leaseOf(schema, queue, 'm.slot')} AS lease
    FROM ${table} m WHERE m.${where}`;
}

/**
 * The order that is promised: of two messages of a key, the one whose transaction took the key first is
 * handled to its end before the handling of the other one begins. What was handled already may come
 * again at any time, also after later ones.
 *
 * `n` numbers the messages of a key in the order in which their transactions took it: a note's number is
 * drawn under a row lock that is held until the commit, and an order's second event is published
 * after the commit of the first.
 *
 * A handling is one INSERT, which draws `seq` while it runs, after the handling began and before it
 * ended. Serial numbers of transactions that overlap say nothing about their commits, and nothing is
 * read from them here but this: where even the lowest `seq` of a message is above one of a later
 * message, then no handling of it had ended when that of the later one had begun. Numbers of failed
 * handlings are not in the table, and a crash of the server never sets the sequence back below a
 * committed one.
 */
export const OUT_OF_ORDER = `
  WITH handled AS (
    SELECT message_id, topic, key, n, min(seq) AS first FROM app.delivery GROUP BY message_id, topic, key, n
  ), ranked AS (
    SELECT *, max(n) OVER (
      PARTITION BY topic, key ORDER BY first ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS highest FROM handled
  )
  SELECT r.topic, r.key, r.n, r.message_id, r.first AS delivery, o.n AS overtaken_by_n,
    o.message_id AS overtaken_by, o.first AS overtaken_by_delivery
  FROM ranked r CROSS JOIN LATERAL (
    SELECT h.n, h.message_id, h.first FROM handled h
    WHERE h.topic = r.topic AND h.key = r.key AND h.n > r.n AND h.first < r.first ORDER BY h.first LIMIT 1
  ) AS o
  WHERE r.highest > r.n`;

/** Selects the rows that break a rule, on one of the servers. `$1`, where it stands, is the ids of the orders that were started. */
interface Rule {
  readonly name: RuleName;
  readonly server: 'store' | 'broker';
  readonly rows: string;
}

export const RULE_NAMES = [
  /** Orders that were answered with "started" and have no saga. */
  'lostSagas',
  'unendedSagas',
  /** Sagas that ended otherwise than their order says. */
  'wrongEnds',
  'localEffectsWrong',
  'externalKeysWrong',
  'handlerEffectsWrong',
  'messagesLost',
  'messagesNeverCommitted',
  'outOfOrder',
  'deadLetters',
  /** Rows that are still in an outbox or in the broker. */
  'messagesLeft',
] as const;
export type RuleName = (typeof RULE_NAMES)[number];

export const RULES: readonly Rule[] = [
  {
    name: 'lostSagas',
    server: 'store',
    rows: `SELECT o.order_id FROM unnest($1::text[]) AS o (order_id)
      WHERE NOT EXISTS (SELECT FROM ${orders}.saga_all s WHERE s.key = o.order_id)`,
  },
  {
    name: 'unendedSagas',
    server: 'store',
    rows: `SELECT id, key, status, owner, epoch, revision, wake_at, created_at, updated_at,
        EXISTS (SELECT FROM ${orders}.engine e WHERE e.incarnation = s.owner) AS owner_is_known,
        (SELECT json_agg(json_build_object('kind', j.kind, 'step', j.step, 'attempt', j.attempt, 'at', j.recorded_at)
          ORDER BY j.revision, j.ordinal) FROM ${orders}.saga_journal_readable j WHERE j.saga_id = s.id) AS journal,
        (SELECT json_agg(m.kind) FROM ${orders}.saga_mail m WHERE m.saga_id = s.id) AS unread_mail
      FROM ${orders}.saga_all s WHERE status NOT IN ${ENDED}`,
  },
  {
    name: 'wrongEnds',
    server: 'store',
    rows: `SELECT id, key, status, ${DUE_KIND} AS due,
        (SELECT json_agg(json_build_object('kind', j.kind, 'step', j.step, 'attempt', j.attempt, 'data', left(j.data, 300))
          ORDER BY j.revision, j.ordinal) FROM ${orders}.saga_journal_readable j WHERE j.saga_id = s.id) AS journal
      FROM ${orders}.saga_all s WHERE status IN ${ENDED} AND status <> ${DUE_KIND}`,
  },
  {
    name: 'localEffectsWrong',
    server: 'store',
    rows: differences(LOCAL_DUE, 'SELECT order_id, step FROM app.local_effect', 'order_id, step'),
  },
  {
    name: 'externalKeysWrong',
    server: 'store',
    rows: `SELECT * FROM (
        SELECT s.id, s.key, s.status,
          coalesce(array_agg(DISTINCT e.key) FILTER (WHERE e.key IS NOT NULL), '{}') AS keys,
          coalesce(array_agg(e.step) FILTER (WHERE e.step IS NOT NULL), '{}') AS steps
        FROM ${orders}.saga_all s LEFT JOIN app.external_effect e ON e.order_id = s.key
        GROUP BY s.id, s.key, s.status) AS x
      WHERE cardinality(keys) <> 1 OR NOT 'charge' = ANY (steps)
        OR (key NOT LIKE 'good-%') <> ('refund' = ANY (steps))`,
  },
  {
    name: 'handlerEffectsWrong',
    server: 'store',
    rows: differences(
      HANDLED_DUE,
      'SELECT order_id, type FROM app.handler_effect',
      'order_id, type',
    ),
  },
  {
    name: 'messagesLost',
    server: 'store',
    rows: `SELECT p.* FROM app.published p
      WHERE NOT EXISTS (SELECT FROM app.delivery d WHERE d.message_id = p.message_id)`,
  },
  {
    name: 'messagesNeverCommitted',
    server: 'store',
    rows: `SELECT d.* FROM app.delivery d
      WHERE NOT EXISTS (SELECT FROM app.published p WHERE p.message_id = d.message_id)`,
  },
  { name: 'outOfOrder', server: 'store', rows: OUT_OF_ORDER },
  {
    name: 'deadLetters',
    server: 'store',
    rows: `${messages(ORDERS_OUTBOX, 'lane = 5')}
      UNION ALL ${messages(STOCK_OUTBOX, 'lane = 5')}`,
  },
  {
    name: 'deadLetters',
    server: 'broker',
    rows: messages(GROUPS, 'lane = 5'),
  },
  {
    name: 'messagesLeft',
    server: 'store',
    rows: `${messages(ORDERS_OUTBOX, 'lane <> 5')}
      UNION ALL ${messages(STOCK_OUTBOX, 'lane <> 5')}`,
  },
  {
    name: 'messagesLeft',
    server: 'broker',
    rows: messages(GROUPS, 'lane <> 5'),
  },
];

/** The oldest message of each outbox, with how long it has been there. */
export const OLDEST_IN_OUTBOXES = [ORDERS_OUTBOX, STOCK_OUTBOX]
  .map((queue) => oldest(queue, `'outbox of ${queue.schema}'`))
  .join(' UNION ALL ');
/** The same for each group of the broker, and for what no group has joined for. */
export const OLDEST_IN_GROUPS = oldest(GROUPS, `'group ' || coalesce(consumer_group, '(none)')`);

/** Numbers first: who serves a slot is looked up for the oldest rows only, however many there are. */
function oldest(queue: Queue, name: string): string {
  return `SELECT ${name} AS queue, extract(epoch FROM clock_timestamp() - o.created_at)::float8 AS seconds,
      to_json(o) AS row
    FROM (${messages(queue, `seq IN (${queue.oldest})`)}) AS o`;
}

/** Sagas that took longest, with the longest pauses in their journals. */
export const LONGEST_SAGAS = `
  SELECT key, id, status, created_at, updated_at,
    extract(epoch FROM updated_at - created_at)::float8 AS seconds, (
      SELECT json_agg(p) FROM (
        SELECT kind, step, attempt, recorded_at,
          recorded_at - lag(recorded_at, 1, s.created_at) OVER (ORDER BY revision, ordinal) AS after_pause
        FROM ${orders}.saga_journal_readable j WHERE j.saga_id = s.id ORDER BY after_pause DESC LIMIT 3
      ) AS p
    ) AS pauses
  FROM ${orders}.saga_all s WHERE status IN ${ENDED} ORDER BY updated_at - created_at DESC LIMIT $1`;
