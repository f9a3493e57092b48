import type pg from 'pg';
import { SCHEMAS } from './tables.js';

/**
 * The history that the tables of Sagaz no longer hold when the books are read: which process wrote each
 * numbered message to an outbox and to the broker, under which number, which one took it out, and which
 * one owned its slot then. Written by
 * triggers, in the transaction of the write itself. A time is that of the write and not of its commit, and
 * `by` is the name that the connection gave itself, which holds the name of the process.
 */
const TRAIL = `
CREATE TABLE app.trail (
  at timestamptz NOT NULL DEFAULT clock_timestamp(), by text NOT NULL DEFAULT current_setting('application_name'),
  xid text NOT NULL DEFAULT pg_current_xact_id()::text, place text NOT NULL, what text NOT NULL, seq bigint NOT NULL, slot int NOT NULL,
  message_id text NOT NULL, status text NOT NULL, attempts int NOT NULL);
CREATE INDEX ON app.trail (message_id);
CREATE TABLE app.lease_trail (
  at timestamptz NOT NULL DEFAULT clock_timestamp(), by text NOT NULL DEFAULT current_setting('application_name'),
  place text NOT NULL, queue text NOT NULL, slot int NOT NULL, owner text, epoch bigint NOT NULL, version bigint NOT NULL, crashes int NOT NULL, suspect bigint);
CREATE INDEX ON app.lease_trail (slot, at);
CREATE FUNCTION app.note_lease() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO app.lease_trail (place, queue, slot, owner, epoch, version, crashes, suspect)
  VALUES (TG_TABLE_SCHEMA, NEW.queue, NEW.slot, NEW.owner, NEW.epoch, NEW.version, NEW.crashes, NEW.suspect);
  RETURN NULL;
END $$;
CREATE FUNCTION app.note_message() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  IF TG_OP = 'DELETE' THEN r := OLD; ELSE r := NEW; END IF;
  INSERT INTO app.trail (place, what, seq, slot, message_id, status, attempts)
  VALUES (TG_TABLE_SCHEMA || CASE WHEN TG_TABLE_SCHEMA = '${SCHEMAS.broker}' THEN ' group ' || r.queue ELSE '' END, TG_OP,
    r.seq, r.slot, r.id, (ARRAY['pending', 'retrying', 'held', 'optimistic', 'delayed', 'dead_letter', 'unrouted'])[r.lane + 1], r.attempts);
  RETURN NULL;
END $$;`;

function noteLeases(schema: string): string {
  return `
CREATE TRIGGER trail AFTER UPDATE ON ${schema}.slot_lease FOR EACH ROW
WHEN ((OLD.owner, OLD.epoch, OLD.version, OLD.crashes, OLD.suspect)
  IS DISTINCT FROM (NEW.owner, NEW.epoch, NEW.version, NEW.crashes, NEW.suspect))
EXECUTE FUNCTION app.note_lease();`;
}

/** Only of the topics whose order is judged. */
function noteMessages(table: string): string {
  const topics = (row: string): string => `WHEN (${row}.topic IN ('note', 'order'))`;
  return `
CREATE TRIGGER trail_new AFTER INSERT OR UPDATE ON ${table} FOR EACH ROW ${topics('NEW')} EXECUTE FUNCTION app.note_message();
CREATE TRIGGER trail_gone AFTER DELETE ON ${table} FOR EACH ROW ${topics('OLD')} EXECUTE FUNCTION app.note_message();`;
}

/** For the server of the store, which has the schema `app`. */
export const STORE_TRAIL = [
  TRAIL,
  noteLeases(SCHEMAS.orders),
  noteLeases(SCHEMAS.stock),
  noteMessages(`${SCHEMAS.orders}.message`),
].join('\n');
/** For the server of the broker. */
export const BROKER_TRAIL = [
  'CREATE SCHEMA app;',
  TRAIL,
  noteLeases(SCHEMAS.broker),
  noteMessages(`${SCHEMAS.broker}.message`),
].join('\n');

/** SQL of who serves the slot of a row, as JSON; `queue` and `slot` are expressions. */
export function leaseOf(schema: string, queue: string, slot: string): string {
  return `(SELECT json_build_object('owner', l.owner, 'epoch', l.epoch, 'version', l.version,
        'expires_at', l.expires_at, 'crashes', l.crashes, 'suspect', l.suspect,
        'owner_is_member', EXISTS (
          SELECT FROM ${schema}.slot_member b
          WHERE b.queue = l.queue AND b.incarnation = l.owner AND b.expires_at > clock_timestamp()),
        'last_changed_by', (
          SELECT t.by FROM app.lease_trail t
          WHERE t.place = '${schema}' AND t.queue = l.queue AND t.slot = l.slot ORDER BY t.at DESC LIMIT 1))
      FROM ${schema}.slot_lease l WHERE l.queue = ${queue} AND l.slot = ${slot})`;
}

/** Owners of a slot change at take-overs, which take longer than a lease and less than this. */
const LEASES_BEFORE = `interval '30 seconds'`;

/** All that happened to messages on one of the servers, in order of time, with the owners of their slots. */
export async function trailOf(
  pool: pg.Pool,
  messageIds: readonly string[],
): Promise<{ readonly messages: readonly object[]; readonly leases: readonly object[] }> {
  const { rows: messages } = await pool.query<object>(
    'SELECT * FROM app.trail WHERE message_id = ANY ($1) ORDER BY at',
    [messageIds],
  );
  const { rows: leases } = await pool.query<object>(
    `WITH seen AS (
      SELECT slot, min(at) - ${LEASES_BEFORE} AS from_at, max(at) AS to_at FROM app.trail
      WHERE message_id = ANY ($1) GROUP BY slot
    )
    SELECT l.* FROM seen JOIN app.lease_trail l ON l.slot = seen.slot AND l.at BETWEEN from_at AND to_at
    ORDER BY l.at LIMIT 100`,
    [messageIds],
  );
  return { messages, leases };
}
