// Generated from migrations/ by `npm run migrations:embed`. Edit the SQL there.
import type { MigrationSet, MigrationSource } from './migration.js';

export const MIGRATION_SOURCES: Readonly<Record<MigrationSet, readonly MigrationSource[]>> = {
  store: [
    {
      name: '0001_sagas',
      text: `-- Sagas, their journals, their mail, and the engines that run them.

CREATE TABLE sagaz.definition (
  number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  version integer NOT NULL,
  format smallint NOT NULL DEFAULT 1,
  UNIQUE (name, version, format)
);

COMMENT ON TABLE sagaz.definition IS 'The number of each name and version of sagas, in each format. Rows are only added: processes keep them in memory.';
COMMENT ON COLUMN sagaz.definition.format IS 'The lowest format of the engines that can read its sagas. A saga into which a newer engine writes what older ones cannot read gets the number with the higher format.';

CREATE TABLE sagaz.saga (
  id uuid PRIMARY KEY,
  definition integer NOT NULL,
  tenant text NOT NULL,
  key text,
  -- No CHECK: each statement that writes a saga would prepare it anew, which costs a tenth of a step.
  status text NOT NULL,
  revision integer NOT NULL,
  owner uuid,
  epoch integer NOT NULL,
  wake_at timestamptz,
  deadline timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
-- A saga is updated once per step. The free space lets updates stay on their page and touch no index
-- (HOT), which is also why nothing indexes revision, epoch or updated_at.
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX saga_owner ON sagaz.saga (owner, definition, id) WHERE owner IS NOT NULL;
CREATE INDEX saga_due ON sagaz.saga (definition, wake_at) WHERE owner IS NULL AND wake_at IS NOT NULL;
-- The status changes where a saga is parked, which changes its owner too.
CREATE INDEX saga_attention ON sagaz.saga (id) WHERE status = 'needs_attention';

COMMENT ON TABLE sagaz.saga IS 'One small row per saga that has not ended: where it stands and who runs it. What happened is in saga_journal. The view saga_all has those that have ended too.';
COMMENT ON COLUMN sagaz.saga.definition IS 'Name and version of the saga, as a number of table definition.';
COMMENT ON COLUMN sagaz.saga.key IS 'Idempotency key given by the caller; unique per tenant and name, see saga_key.';
COMMENT ON COLUMN sagaz.saga.revision IS 'Rises by one with every transition and guards it.';
COMMENT ON COLUMN sagaz.saga.owner IS 'Incarnation of the engine that runs it (table engine); null: nobody does.';
COMMENT ON COLUMN sagaz.saga.epoch IS 'Rises whenever an engine takes the saga.';
COMMENT ON COLUMN sagaz.saga.wake_at IS 'When a saga without an owner is due; null: only mail wakes it.';

CREATE TABLE sagaz.saga_ended (
  id uuid PRIMARY KEY,
  definition integer NOT NULL,
  tenant text NOT NULL,
  key text,
  status text NOT NULL,
  revision integer NOT NULL,
  epoch integer NOT NULL,
  deadline timestamptz,
  created_at timestamptz NOT NULL,
  ended_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX saga_ended_status ON sagaz.saga_ended (definition, status, id);
CREATE INDEX saga_ended_at ON sagaz.saga_ended (status, ended_at);

COMMENT ON TABLE sagaz.saga_ended IS 'One row per saga that has ended. The transition that ends a saga moves its row here; an effect that is reported later moves it back.';

CREATE TABLE sagaz.saga_key (
  tenant text NOT NULL,
  name text NOT NULL,
  key text NOT NULL,
  saga_id uuid NOT NULL,
  input_digest text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (key, name, tenant)
);

CREATE INDEX saga_key_age ON sagaz.saga_key (created_at, saga_id);

COMMENT ON TABLE sagaz.saga_key IS 'The idempotency keys of starts, and the saga that each of them started.';
COMMENT ON COLUMN sagaz.saga_key.input_digest IS 'Digest of the input: the same key with another input is refused.';

CREATE VIEW sagaz.saga_all AS
SELECT s.id, d.name, d.version, d.format, s.tenant, s.key, s.status, s.revision, s.owner, s.epoch, s.wake_at,
  s.deadline, s.created_at, s.updated_at
FROM sagaz.saga s JOIN sagaz.definition d ON d.number = s.definition
UNION ALL
SELECT e.id, d.name, d.version, d.format, e.tenant, e.key, e.status, e.revision, NULL, e.epoch, NULL,
  e.deadline, e.created_at, e.ended_at
FROM sagaz.saga_ended e JOIN sagaz.definition d ON d.number = e.definition;

COMMENT ON VIEW sagaz.saga_all IS 'Every saga, those that have ended included, with name and version; updated_at of one that has ended says when it ended.';

-- No foreign key to saga: it would lock the saga row with every entry.
CREATE TABLE sagaz.saga_journal (
  saga_id uuid NOT NULL,
  revision integer NOT NULL,
  transition_id uuid NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  entries text NOT NULL,
  input_digest text,
  PRIMARY KEY (saga_id, revision)
);

COMMENT ON TABLE sagaz.saga_journal IS 'One row per transition of a saga, with everything that happened in it. Append-only. The view saga_journal_readable has a row for each entry.';
COMMENT ON COLUMN sagaz.saga_journal.transition_id IS 'Tells whether a transition whose answer was lost is there.';
COMMENT ON COLUMN sagaz.saga_journal.input_digest IS 'Of the first row of a saga: digest of the input. The same id with another input is refused.';
COMMENT ON COLUMN sagaz.saga_journal.entries IS 'JSON text: an array of [kind, step, attempt, length of the data in UTF-16 units, data], with the item behind the step where a step has items. Data of more than 2,048 units is left out and lies in saga_output.';

-- Apart from the journal, so that lists and other reads of the journal do not read it.
CREATE TABLE sagaz.saga_output (
  saga_id uuid NOT NULL,
  revision integer NOT NULL,
  ordinal integer NOT NULL,
  on_demand boolean NOT NULL,
  data text NOT NULL,
  PRIMARY KEY (saga_id, revision, ordinal)
);

COMMENT ON TABLE sagaz.saga_output IS 'Data of journal entries that is too large for the journal, outputs of steps above all. Append-only.';
COMMENT ON COLUMN sagaz.saga_output.on_demand IS 'It is read when a step asks for it, and not with its saga.';

-- Data comes out as it stands in the text: json_array_elements reads no escapes, as -> and ->> do, which
-- fail on some that are legal in JavaScript. What is damaged is an entry of the kind 'unreadable', so that
-- it fails no statement about other sagas.
CREATE FUNCTION sagaz.entries_of(in_entries text)
RETURNS TABLE (ordinal integer, kind text, step text, item text, attempt integer, data text)
LANGUAGE plpgsql IMMUTABLE ROWS 3 AS $$
DECLARE
  entry json;
  part json[];
BEGIN
  ordinal := 0;
  FOR entry IN SELECT json_array_elements(in_entries::json) LOOP
    part := CASE WHEN json_typeof(entry) = 'array' THEN ARRAY(SELECT json_array_elements(entry)) END;
    item := NULL;
    -- A step with items has the item behind the step.
    IF json_typeof(part[3]) = 'string' THEN
      item := part[3] #>> '{}';
      part := part[1:2] || part[4:];
    END IF;
    IF json_typeof(part[1]) = 'string' AND json_typeof(part[2]) IN ('string', 'null')
      AND part[3]::text ~ '^[0-9]{1,9}$' THEN
      kind := part[1] #>> '{}';
      step := part[2] #>> '{}';
      attempt := part[3]::text;
      data := part[5]::text;
    ELSE
      kind := 'unreadable';
      step := NULL;
      item := NULL;
      attempt := 0;
      data := to_json(entry::text)::text;
    END IF;
    RETURN NEXT;
    ordinal := ordinal + 1;
  END LOOP;
EXCEPTION WHEN OTHERS THEN
  kind := 'unreadable';
  step := NULL;
  item := NULL;
  attempt := 0;
  data := to_json(in_entries)::text;
  RETURN NEXT;
END
$$;

CREATE VIEW sagaz.saga_journal_readable AS
SELECT j.saga_id, j.revision, e.ordinal, j.transition_id, e.kind, e.step, e.item, e.attempt,
  coalesce(e.data, o.data) AS data, j.recorded_at
FROM sagaz.saga_journal j
CROSS JOIN LATERAL sagaz.entries_of(j.entries) AS e
LEFT JOIN sagaz.saga_output o
  ON o.saga_id = j.saga_id AND o.revision = j.revision AND o.ordinal = e.ordinal;

COMMENT ON VIEW sagaz.saga_journal_readable IS 'Everything that happened to a saga, one row per entry, in order of revision and ordinal; data::jsonb to look inside.';

CREATE TABLE sagaz.saga_mail (
  definition integer NOT NULL DEFAULT 0,
  format smallint NOT NULL DEFAULT 1,
  xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint GENERATED ALWAYS AS IDENTITY,
  saga_id uuid NOT NULL,
  kind text NOT NULL,
  dedupe_key text NOT NULL,
  data text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (saga_id, dedupe_key)
)
-- Short-lived rows: the table must not grow by what was read long ago.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

CREATE INDEX saga_mail_new ON sagaz.saga_mail (definition, xact, id);

COMMENT ON COLUMN sagaz.saga_mail.definition IS 'The definition of the saga; 0: the writer did not know it.';
COMMENT ON COLUMN sagaz.saga_mail.format IS 'The lowest format of the engines that can take it into account.';
COMMENT ON COLUMN sagaz.saga_mail.xact IS 'The transaction that wrote it: a look for new mail begins at the oldest one that was running at the look before.';
COMMENT ON TABLE sagaz.saga_mail IS 'Replies, cancels and other news for sagas, until the transition that takes them into account.';

CREATE TABLE sagaz.shared_task (
  task text PRIMARY KEY,
  due_at timestamptz NOT NULL DEFAULT '-infinity'
)
WITH (fillfactor = 50);

INSERT INTO sagaz.shared_task (task) VALUES ('retention'), ('mail'), ('counts');

COMMENT ON TABLE sagaz.shared_task IS 'Tasks that one process does for all: who sets due_at does it this time.';

CREATE TABLE sagaz.store_counts (
  one boolean PRIMARY KEY DEFAULT true,
  counted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  counts json NOT NULL
)
WITH (fillfactor = 10);

COMMENT ON TABLE sagaz.store_counts IS 'One row: the counts for metrics, which one process makes for all.';

CREATE TABLE sagaz.engine (
  incarnation uuid PRIMARY KEY,
  service text NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  beat bigint NOT NULL DEFAULT 1,
  ttl_ms integer NOT NULL,
  runs jsonb NOT NULL DEFAULT '{}',
  format smallint NOT NULL DEFAULT 1,
  beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

COMMENT ON TABLE sagaz.engine IS 'The living engines. A saga whose owner is not here may be taken by any of them.';
COMMENT ON COLUMN sagaz.engine.beat IS 'Rises with every heartbeat.';
COMMENT ON COLUMN sagaz.engine.format IS 'The highest format of sagas and mail that it can read.';
COMMENT ON COLUMN sagaz.engine.runs IS 'Names of the sagas it runs, each with its versions: {"place-order": [1, 2]}.';

-- @down
DROP VIEW sagaz.saga_journal_readable, sagaz.saga_all;
DROP FUNCTION sagaz.entries_of;
DROP TABLE sagaz.engine, sagaz.store_counts, sagaz.shared_task, sagaz.saga_mail, sagaz.saga_output, sagaz.saga_journal, sagaz.saga_key,
  sagaz.saga_ended, sagaz.saga, sagaz.definition;
`,
    },
    {
      name: '0002_queue',
      text: `-- Queues of messages, cut into slots. Each destination of the outbox is a queue, and so is each consumer
-- group of the Postgres broker. This file lies in migrations/ and, as a copy, in migrations/broker/: edit
-- the first one, and \`npm run migrations:embed\` writes the copy.

-- The names of the queues by the numbers that messages carry. 0 is no queue of this table: what lies there
-- belongs to no queue yet.
CREATE TABLE sagaz.queue (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row for each living process that shares the slots of a queue.
CREATE TABLE sagaz.slot_member (
  queue text NOT NULL,
  incarnation text NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (queue, incarnation)
) WITH (fillfactor = 50);

COMMENT ON TABLE sagaz.slot_member IS 'The living processes that work on each queue.';

-- The owner of each slot. A fenced write locks the row of its slot and matches owner and epoch; a
-- take-over is an update of that row, so that after it no write of the old owner commits.
CREATE TABLE sagaz.slot_lease (
  queue text NOT NULL,
  slot smallint NOT NULL,
  owner text,
  epoch bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity',
  crashes integer NOT NULL DEFAULT 0,
  suspect bigint,
  PRIMARY KEY (queue, slot)
) WITH (fillfactor = 50);

COMMENT ON TABLE sagaz.slot_lease IS 'Which process works on which slot of a queue. A fenced write locks this row; a take-over changes it.';
COMMENT ON COLUMN sagaz.slot_lease.epoch IS 'Rises with every take-over.';
COMMENT ON COLUMN sagaz.slot_lease.version IS 'Rises when messages come back at numbers that owners may have left behind.';
COMMENT ON COLUMN sagaz.slot_lease.crashes IS 'How many owners in a row died here without progress.';
COMMENT ON COLUMN sagaz.slot_lease.suspect IS 'The message that is worked on alone, because of those crashes.';

-- The number of a queue, which is made if no queue has the name.
CREATE FUNCTION sagaz.open_queue(in_name text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  number integer;
BEGIN
  SELECT q.id INTO number FROM sagaz.queue q WHERE q.name = in_name;
  IF number IS NULL THEN
    INSERT INTO sagaz.queue (name) VALUES (in_name) ON CONFLICT (name) DO NOTHING;
    SELECT q.id INTO STRICT number FROM sagaz.queue q WHERE q.name = in_name;
    INSERT INTO sagaz.slot_lease (queue, slot)
    SELECT in_name, slot FROM generate_series(0, 255) AS slot ON CONFLICT DO NOTHING;
  END IF;
  RETURN number;
END
$$;

-- CACHE 1: numbers that one session drew ahead would be given out late, after higher ones of the
-- same key were read.
CREATE SEQUENCE sagaz.message_seq AS bigint CACHE 1;

CREATE TABLE sagaz.message (
  -- The place in the key. The transaction id is assigned before the number is drawn, whoever inserts:
  -- a reader that sees every older transaction ended then knows that no lower number can appear.
  -- nextval alone assigns no transaction id.
  seq bigint NOT NULL DEFAULT (
    CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('sagaz.message_seq') END
  ),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When a delayed, retrying or optimistic message is due; null on all others.
  due_at timestamptz,
  died_at timestamptz,
  -- No foreign key: it would lock a row of the table queue with every message.
  queue integer NOT NULL,
  -- Failed attempts so far.
  attempts integer NOT NULL DEFAULT 0,
  -- 0 ready, 1 retrying, 2 held, 3 optimistic, 4 delayed, 5 dead, 6 unrouted: see sagaz.lane_status.
  lane smallint NOT NULL DEFAULT 0,
  slot smallint NOT NULL,
  -- False: its neighbours of the key may overtake it.
  ordered boolean NOT NULL DEFAULT true,
  -- On a dead letter: it goes on holding back its key.
  blocks boolean NOT NULL DEFAULT false,
  id text NOT NULL,
  tenant text NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  source text NOT NULL,
  -- For people, and kept as it was written.
  time text NOT NULL,
  content_type text NOT NULL,
  headers json NOT NULL,
  payload bytea NOT NULL,
  error text,
  reason text,
  -- Numbers are unique by themselves. The key is led by queue, lane and slot, as every index that could
  -- serve a read: what is ready in a slot is one range of it, and a hundred thousand messages in other
  -- lanes, slots or queues cost a reader nothing. No CHECK constraints: each statement would prepare them
  -- anew, which costs a fifth of an append.
  PRIMARY KEY (queue, lane, slot, seq)
) WITH (
  -- A queue lives by its vacuum: dead rows in front of the index are what slows a reader.
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 200000,
  autovacuum_vacuum_cost_delay = 0
);

-- Messages that are not ready, by key.
CREATE INDEX message_aside ON sagaz.message (queue, slot, tenant, topic, key, seq) WHERE lane <> 0;
CREATE INDEX message_due ON sagaz.message (queue, lane, slot, due_at, seq) WHERE due_at IS NOT NULL;

-- lz4 compresses a payload in half the time of pglz, where the server was built with it.
DO $$
BEGIN
  ALTER TABLE sagaz.message ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  NULL;
END
$$;

-- The status of a message as people read it.
CREATE FUNCTION sagaz.lane_status(lane integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT (ARRAY['pending', 'retrying', 'held', 'optimistic', 'delayed', 'dead_letter', 'unrouted'])[lane + 1]
$$;

-- Reads messages that are ready in slots of a queue, from each slot's floor on and without what is being worked on, slot by
-- slot in the order given, until their payloads and 500 bytes for each row reach in_bytes; a row's size is
-- known without reading its payload. A function, because the way to the rows must not depend on
-- statistics, which are always wrong in a queue: along the index, never by collecting a whole slot to
-- sort it. STABLE, so that it reads the snapshot of the statement that calls it.
CREATE FUNCTION sagaz.message_read(
  in_queue integer, in_slots integer[], in_floors bigint[], in_flight bigint[], in_per_slot bigint,
  in_limit bigint, in_bytes bigint,
  in_within bigint DEFAULT NULL,
  in_tenants text[] DEFAULT NULL, in_topics text[] DEFAULT NULL, in_keys text[] DEFAULT NULL,
  in_without text[] DEFAULT NULL
) RETURNS SETOF sagaz.message LANGUAGE plpgsql STABLE ROWS 1000
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  got sagaz.message;
  room bigint := in_bytes;
BEGIN
  IF in_within IS NULL THEN
    FOR got IN
      SELECT r.* FROM unnest(in_slots, in_floors) WITH ORDINALITY AS w (slot, floor, place)
      CROSS JOIN LATERAL (
        SELECT p.* FROM sagaz.message p
        WHERE p.queue = in_queue AND p.lane = 0 AND p.slot = w.slot AND p.seq > w.floor
          AND p.seq NOT IN (SELECT unnest(in_flight))
        ORDER BY p.seq LIMIT in_per_slot
      ) AS r
      LIMIT in_limit
    LOOP
      RETURN NEXT got;
      room := room - 500 - octet_length(got.payload);
      EXIT WHEN room <= 0;
    END LOOP;
    RETURN;
  END IF;
  -- Past the ordered rows of keys that are busy, and all rows of topics that are left out. The rows that
  -- are looked at are limited first, because a key or topic may have any number of them.
  FOR got IN
    SELECT r.* FROM unnest(in_slots, in_floors) WITH ORDINALITY AS w (slot, floor, place)
    CROSS JOIN LATERAL (
      SELECT n.* FROM (
        SELECT p.* FROM sagaz.message p
        WHERE p.queue = in_queue AND p.lane = 0 AND p.slot = w.slot AND p.seq > w.floor
        ORDER BY p.seq LIMIT in_within
      ) AS n
      WHERE n.seq NOT IN (SELECT unnest(in_flight))
        AND NOT (
          n.ordered AND (n.tenant, n.topic, n.key) IN (SELECT * FROM unnest(in_tenants, in_topics, in_keys))
        )
        AND n.topic NOT IN (SELECT unnest(in_without))
      ORDER BY n.seq LIMIT in_per_slot
    ) AS r
    LIMIT in_limit
  LOOP
    RETURN NEXT got;
    room := room - 500 - octet_length(got.payload);
    EXIT WHEN room <= 0;
  END LOOP;
END
$$;

-- How far the next ready messages of slots belong to topics that are left out: the number before the first
-- one of another topic among in_within, or the last number that was looked at.
CREATE FUNCTION sagaz.message_pass(
  in_queue integer, in_slots integer[], in_floors bigint[], in_topics text[], in_within bigint
) RETURNS TABLE (slot integer, up_to bigint, more boolean) LANGUAGE plpgsql STABLE ROWS 256
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY
  SELECT w.slot, coalesce(min(n.seq) FILTER (WHERE NOT n.left_out) - 1, max(n.seq)), count(*) = in_within AND bool_and(n.left_out)
  FROM unnest(in_slots, in_floors) AS w (slot, floor) CROSS JOIN LATERAL (
    SELECT p.seq, p.topic = ANY (in_topics) AS left_out FROM sagaz.message p
    WHERE p.queue = in_queue AND p.lane = 0 AND p.slot = w.slot AND p.seq > w.floor
    ORDER BY p.seq LIMIT in_within
  ) AS n
  GROUP BY w.slot;
END
$$;

-- How many messages of a queue are in each lane, in_most at most, and when the first of those that wait was
-- written. A function for the same reason as that which reads.
CREATE FUNCTION sagaz.message_counts(in_queue integer, in_most bigint)
RETURNS TABLE (lane integer, counted bigint, since timestamptz) LANGUAGE plpgsql STABLE ROWS 6
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  FOR wanted IN 0..6 LOOP
    lane := wanted;
    SELECT count(*) INTO counted FROM (
      SELECT FROM sagaz.message m WHERE m.queue = in_queue AND m.lane = wanted LIMIT in_most
    ) AS those;
    CONTINUE WHEN counted = 0;
    SELECT min(head.created_at) INTO since FROM generate_series(0, 255) AS s (slot) CROSS JOIN LATERAL (
      SELECT m.created_at FROM sagaz.message m
      WHERE m.queue = in_queue AND m.lane = wanted AND m.slot = s.slot
      ORDER BY m.seq LIMIT 1
    ) AS head;
    RETURN NEXT;
  END LOOP;
END
$$;

-- Bytes as a person reads them: as text where they are text. Never fails, or one row of foreign bytes
-- would hide all others.
CREATE FUNCTION sagaz.readable(bytes bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN OTHERS THEN
  -- Not written as a text: what a backslash means in one depends on the session.
  RETURN chr(92) || 'x' || encode(bytes, 'hex');
END
$$;

CREATE VIEW sagaz.message_readable AS
SELECT
  m.seq, q.name AS queue, sagaz.lane_status(m.lane) AS status, m.attempts, m.tenant, m.topic, m.key, m.type,
  m.id, m.source, m.time, m.headers, m.content_type, sagaz.readable(m.payload) AS payload,
  m.created_at, m.due_at, m.reason, m.error, m.died_at, m.slot
FROM sagaz.message m LEFT JOIN sagaz.queue q ON q.id = m.queue;

-- @down
DROP VIEW sagaz.message_readable;
DROP FUNCTION
  sagaz.message_read(
    integer, integer[], bigint[], bigint[], bigint, bigint, bigint, bigint, text[], text[], text[], text[]
  ),
  sagaz.message_pass(integer, integer[], bigint[], text[], bigint),
  sagaz.message_counts(integer, bigint),
  sagaz.open_queue(text),
  sagaz.readable(bytea);
DROP TABLE sagaz.message, sagaz.slot_lease, sagaz.slot_member, sagaz.queue;
DROP FUNCTION sagaz.lane_status(integer);
DROP SEQUENCE sagaz.message_seq;
`,
    },
    {
      name: '0003_outbox',
      text: `-- The outbox: queues into which transactions write, one for each destination.

-- The destination of all that names none has the number 1.
SELECT sagaz.open_queue('outbox:default');

-- Takes locks for the rest of the transaction, in the order given; the caller sorts. The slots come
-- first: shared where the keys are locked one by one, exclusively where the keys are too many for
-- the lock table, which all transactions of the server share.
-- The two numbers are the lock space of slots and that of keys.
CREATE FUNCTION sagaz.outbox_lock(in_slots integer[], in_keys integer[], in_exclusively boolean)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  place integer;
BEGIN
  -- Loops and not a query: a planner may leave out or reorder what nobody reads.
  FOREACH place IN ARRAY in_slots LOOP
    IF in_exclusively THEN
      PERFORM pg_advisory_xact_lock(1396786497, place);
    ELSE
      PERFORM pg_advisory_xact_lock_shared(1396786497, place);
    END IF;
  END LOOP;
  FOREACH place IN ARRAY in_keys LOOP
    PERFORM pg_advisory_xact_lock(1396786498, place);
  END LOOP;
END
$$;

-- Checks the deferred constraints of a caller's transaction now, before a key is locked: checked by
-- COMMIT they could wait for a row of a transaction that waits for the key. Always true.
CREATE FUNCTION sagaz.constraints_checked() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  SET CONSTRAINTS ALL IMMEDIATE;
  RETURN true;
END
$$;

-- Many messages, in the order of the arrays; the locks as for outbox_lock. \`in_deferred\`: the
-- transaction is a caller's and may hold deferred constraints. Numbers are drawn by the
-- column's default while rows are inserted, which is after the locks and in the order of the sort.
CREATE FUNCTION sagaz.outbox_append_many(
  in_deferred boolean, in_slot_locks integer[], in_key_locks integer[], in_exclusively boolean,
  in_queues integer[], in_slots integer[], in_ordered boolean[], in_delays_ms bigint[],
  in_ids text[], in_tenants text[], in_topics text[], in_keys text[], in_types text[], in_sources text[],
  in_times text[], in_content_types text[], in_headers text[], in_payloads bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF in_deferred THEN
    SET CONSTRAINTS ALL IMMEDIATE;
  END IF;
  PERFORM sagaz.outbox_lock(in_slot_locks, in_key_locks, in_exclusively);
  INSERT INTO sagaz.message
    (queue, lane, due_at, slot, ordered, id, tenant, topic, key, type, source, time, content_type, headers, payload)
  SELECT
    r.queue, CASE WHEN r.delay_ms > 0 THEN 4 ELSE 0 END,
    CASE WHEN r.delay_ms > 0 THEN clock_timestamp() + r.delay_ms * interval '1 millisecond' END,
    r.slot, r.ordered, r.id, r.tenant, r.topic, r.key, r.type, r.source, r.time, r.content_type,
    r.headers::json, r.payload
  FROM unnest(
    in_queues, in_slots, in_ordered, in_delays_ms, in_ids, in_tenants, in_topics, in_keys, in_types, in_sources,
    in_times, in_content_types, in_headers, in_payloads
  ) WITH ORDINALITY AS r (
    queue, slot, ordered, delay_ms, id, tenant, topic, key, type, source, time, content_type, headers, payload,
    place
  )
  ORDER BY r.place;
END
$$;

-- @down
DROP FUNCTION
  sagaz.outbox_lock(integer[], integer[], boolean),
  sagaz.constraints_checked(),
  sagaz.outbox_append_many(
    boolean, integer[], integer[], boolean, integer[], integer[], boolean[], bigint[], text[], text[], text[],
    text[], text[], text[], text[], text[], text[], bytea[]
  );
`,
    },
    {
      name: '0004_inbox',
      text: `-- Inboxes: what the consumers of this database have handled, what participants know of a saga's
-- steps, and what is handled later or was given up.
-- Names are compared byte for byte (COLLATE "C"), whatever the database's collation thinks is equal.

-- One row for each message that a group has handled, landed or given up: the single truth about it. It is
-- inserted by the first statement of the handler's transaction. No CHECK constraint, which each statement
-- would prepare anew.
CREATE TABLE sagaz.inbox (
  tenant text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  -- done: it was handled. landed: it is in the group's landing queue. dead: it is a dead letter there.
  state text NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Rows are only ever looked up by the whole key: what tells most of them apart comes first.
  PRIMARY KEY (id, source, group_name, tenant)
)
WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX inbox_prunable ON sagaz.inbox (claimed_at) WHERE state = 'done';

COMMENT ON TABLE sagaz.inbox IS 'Messages that a consumer group has handled (done), put into its landing queue (landed) or given up (dead).';

-- One row for each step of a saga that this database took part in, by its idempotency key.
CREATE TABLE sagaz.participant (
  tenant text COLLATE "C" NOT NULL,
  idempotency_key text COLLATE "C" NOT NULL,
  -- A command was carried out or refused, see reply_status; false: only a compensation came.
  applied boolean NOT NULL,
  -- A compensation came. A command that comes later finds this and does nothing.
  undone boolean NOT NULL,
  reply_type text,
  reply_status text CHECK (reply_status IN ('ok', 'refused', 'failed')),
  reply_content_type text,
  reply bytea,
  keep_until timestamptz NOT NULL,
  PRIMARY KEY (tenant, idempotency_key)
)
-- The reply is added to the row in the transaction that wrote it; the free space keeps that update
-- on the page and away from the index.
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX participant_prunable ON sagaz.participant (keep_until);

COMMENT ON TABLE sagaz.participant IS 'What is known of a saga''s step: carried out (with its reply), or undone.';

-- What is noted of attempts outside of the handler's transaction, which rolls back with the process.
CREATE TABLE sagaz.inbox_attempt (
  tenant text COLLATE "C" NOT NULL,
  group_name text COLLATE "C" NOT NULL,
  source text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  failures integer NOT NULL,
  -- Of the failures, those whose time was over.
  timeouts integer NOT NULL DEFAULT 0,
  -- Begun beside others since the last attempt that came to an end.
  starts integer NOT NULL,
  -- The same, with nothing beside it: the process died of it.
  crashes integer NOT NULL DEFAULT 0,
  noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant, group_name, source, id)
) WITH (fillfactor = 70);

CREATE INDEX inbox_attempt_prunable ON sagaz.inbox_attempt (noted_at);

-- The landing queue of each consumer group is a queue of the table message, 'landing:' and the group's name:
-- what the group could not handle when it was delivered, in order, and, as dead letters, what it gave up.
-- The hash tells the key of an ordered message in such a queue by one number, which is that of the lock which
-- every handler of the key takes; null on all other messages.
ALTER TABLE sagaz.message ADD COLUMN key_hash bigint;

COMMENT ON COLUMN sagaz.message.key_hash IS 'In a landing queue: the hash of the group, tenant, topic and key of an ordered message.';

-- Landed messages that hold a key. Every claim of a message looks here for its key.
CREATE INDEX message_landed ON sagaz.message (key_hash, seq)
WHERE key_hash IS NOT NULL AND (lane <> 5 OR blocks);

-- The planner reads a table of few pages as a whole, and would keep that plan while the table fills. So the
-- table gets some hundred pages now, more than two looks along an index cost, and keeps them.
ALTER TABLE sagaz.message SET (vacuum_truncate = off);
INSERT INTO sagaz.message
  (seq, queue, lane, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
SELECT -row, -1, 0, 0, '', '', '', '', '', '', '', '', '{}'::json, convert_to(rpad('', 1000), 'UTF8')
FROM generate_series(1, 1000) AS row;
DELETE FROM sagaz.message WHERE queue = -1;

-- How many messages wait in a landing queue, in_most at most, and their bytes: exactly of in_sized messages,
-- beyond that by their average. A function for the same reason as that which reads.
CREATE FUNCTION sagaz.landing_size(in_queue integer, in_most bigint, in_sized bigint)
RETURNS TABLE (messages bigint, bytes bigint) LANGUAGE plpgsql STABLE ROWS 1
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  counted bigint;
  sized bigint := 0;
  payloads numeric := 0;
  more bigint;
  theirs numeric;
BEGIN
  messages := 0;
  FOR wanted IN 0..2 LOOP
    SELECT count(*) INTO counted FROM (
      SELECT FROM sagaz.message m WHERE m.queue = in_queue AND m.lane = wanted LIMIT in_most - messages
    ) AS those;
    messages := messages + counted;
    CONTINUE WHEN counted = 0 OR sized >= in_sized;
    SELECT count(*), coalesce(sum(octet_length(those.payload)), 0) INTO more, theirs FROM (
      SELECT m.payload FROM sagaz.message m WHERE m.queue = in_queue AND m.lane = wanted
      LIMIT least(counted, in_sized - sized)
    ) AS those;
    sized := sized + more;
    payloads := payloads + theirs;
  END LOOP;
  bytes := 500 * messages + (payloads * messages / greatest(sized, 1))::bigint;
  RETURN NEXT;
END
$$;

-- Begins a command: writes the row of its key, or returns the one that is there.
CREATE FUNCTION sagaz.participant_begin(
  in_tenant text, in_key text, in_keep_ms double precision, in_wait_ms integer
) RETURNS SETOF sagaz.participant LANGUAGE plpgsql AS $$
DECLARE
  before text := current_setting('lock_timeout');
  -- Assigned and not performed: an assignment of a call costs no query.
  bound text := set_config('lock_timeout', greatest(in_wait_ms, 1)::text, true);
BEGIN
  LOOP
    INSERT INTO sagaz.participant (tenant, idempotency_key, applied, undone, keep_until)
    VALUES (in_tenant, in_key, true, false, clock_timestamp() + in_keep_ms * interval '1 millisecond')
    ON CONFLICT DO NOTHING;
    EXIT WHEN FOUND;
    -- Locked, because a compensation may come between the two statements, and its mark is what counts.
    RETURN QUERY SELECT p.* FROM sagaz.participant AS p
    WHERE p.tenant = in_tenant AND p.idempotency_key = in_key
    FOR UPDATE;
    EXIT WHEN FOUND;
  END LOOP;
  bound := set_config('lock_timeout', before, true);
END
$$;

-- Marks a key undone and says whether its command is known to have had an effect.
CREATE FUNCTION sagaz.participant_undo(
  in_tenant text, in_key text, in_keep_ms double precision, in_wait_ms integer
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  before text := current_setting('lock_timeout');
  bound text := set_config('lock_timeout', greatest(in_wait_ms, 1)::text, true);
  had_effect boolean;
BEGIN
  INSERT INTO sagaz.participant AS p (tenant, idempotency_key, applied, undone, keep_until)
  VALUES (in_tenant, in_key, false, true, clock_timestamp() + in_keep_ms * interval '1 millisecond')
  ON CONFLICT (tenant, idempotency_key) DO UPDATE
    SET undone = true, keep_until = greatest(p.keep_until, excluded.keep_until)
  -- A refused command was answered, and did nothing.
  RETURNING p.applied AND p.reply_status IS DISTINCT FROM 'refused' INTO had_effect;
  bound := set_config('lock_timeout', before, true);
  RETURN had_effect;
END
$$;

-- @down
DROP FUNCTION sagaz.participant_undo(text, text, double precision, integer);
DROP FUNCTION sagaz.participant_begin(text, text, double precision, integer);
DROP FUNCTION sagaz.landing_size(integer, bigint, bigint);
DELETE FROM sagaz.message WHERE queue IN (SELECT id FROM sagaz.queue WHERE starts_with(name, 'landing:'));
DELETE FROM sagaz.slot_lease WHERE starts_with(queue, 'landing:');
DELETE FROM sagaz.slot_member WHERE starts_with(queue, 'landing:');
DELETE FROM sagaz.queue WHERE starts_with(name, 'landing:');
DROP INDEX sagaz.message_landed;
ALTER TABLE sagaz.message DROP COLUMN key_hash, RESET (vacuum_truncate);
DROP TABLE sagaz.inbox_attempt, sagaz.participant, sagaz.inbox;
`,
    },
  ],
  broker: [
    {
      name: '0001_queue',
      text: `-- Queues of messages, cut into slots. Each destination of the outbox is a queue, and so is each consumer
-- group of the Postgres broker. This file lies in migrations/ and, as a copy, in migrations/broker/: edit
-- the first one, and \`npm run migrations:embed\` writes the copy.

-- The names of the queues by the numbers that messages carry. 0 is no queue of this table: what lies there
-- belongs to no queue yet.
CREATE TABLE sagaz.queue (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row for each living process that shares the slots of a queue.
CREATE TABLE sagaz.slot_member (
  queue text NOT NULL,
  incarnation text NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (queue, incarnation)
) WITH (fillfactor = 50);

COMMENT ON TABLE sagaz.slot_member IS 'The living processes that work on each queue.';

-- The owner of each slot. A fenced write locks the row of its slot and matches owner and epoch; a
-- take-over is an update of that row, so that after it no write of the old owner commits.
CREATE TABLE sagaz.slot_lease (
  queue text NOT NULL,
  slot smallint NOT NULL,
  owner text,
  epoch bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity',
  crashes integer NOT NULL DEFAULT 0,
  suspect bigint,
  PRIMARY KEY (queue, slot)
) WITH (fillfactor = 50);

COMMENT ON TABLE sagaz.slot_lease IS 'Which process works on which slot of a queue. A fenced write locks this row; a take-over changes it.';
COMMENT ON COLUMN sagaz.slot_lease.epoch IS 'Rises with every take-over.';
COMMENT ON COLUMN sagaz.slot_lease.version IS 'Rises when messages come back at numbers that owners may have left behind.';
COMMENT ON COLUMN sagaz.slot_lease.crashes IS 'How many owners in a row died here without progress.';
COMMENT ON COLUMN sagaz.slot_lease.suspect IS 'The message that is worked on alone, because of those crashes.';

-- The number of a queue, which is made if no queue has the name.
CREATE FUNCTION sagaz.open_queue(in_name text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  number integer;
BEGIN
  SELECT q.id INTO number FROM sagaz.queue q WHERE q.name = in_name;
  IF number IS NULL THEN
    INSERT INTO sagaz.queue (name) VALUES (in_name) ON CONFLICT (name) DO NOTHING;
    SELECT q.id INTO STRICT number FROM sagaz.queue q WHERE q.name = in_name;
    INSERT INTO sagaz.slot_lease (queue, slot)
    SELECT in_name, slot FROM generate_series(0, 255) AS slot ON CONFLICT DO NOTHING;
  END IF;
  RETURN number;
END
$$;

-- CACHE 1: numbers that one session drew ahead would be given out late, after higher ones of the
-- same key were read.
CREATE SEQUENCE sagaz.message_seq AS bigint CACHE 1;

CREATE TABLE sagaz.message (
  -- The place in the key. The transaction id is assigned before the number is drawn, whoever inserts:
  -- a reader that sees every older transaction ended then knows that no lower number can appear.
  -- nextval alone assigns no transaction id.
  seq bigint NOT NULL DEFAULT (
    CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('sagaz.message_seq') END
  ),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When a delayed, retrying or optimistic message is due; null on all others.
  due_at timestamptz,
  died_at timestamptz,
  -- No foreign key: it would lock a row of the table queue with every message.
  queue integer NOT NULL,
  -- Failed attempts so far.
  attempts integer NOT NULL DEFAULT 0,
  -- 0 ready, 1 retrying, 2 held, 3 optimistic, 4 delayed, 5 dead, 6 unrouted: see sagaz.lane_status.
  lane smallint NOT NULL DEFAULT 0,
  slot smallint NOT NULL,
  -- False: its neighbours of the key may overtake it.
  ordered boolean NOT NULL DEFAULT true,
  -- On a dead letter: it goes on holding back its key.
  blocks boolean NOT NULL DEFAULT false,
  id text NOT NULL,
  tenant text NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  source text NOT NULL,
  -- For people, and kept as it was written.
  time text NOT NULL,
  content_type text NOT NULL,
  headers json NOT NULL,
  payload bytea NOT NULL,
  error text,
  reason text,
  -- Numbers are unique by themselves. The key is led by queue, lane and slot, as every index that could
  -- serve a read: what is ready in a slot is one range of it, and a hundred thousand messages in other
  -- lanes, slots or queues cost a reader nothing. No CHECK constraints: each statement would prepare them
  -- anew, which costs a fifth of an append.
  PRIMARY KEY (queue, lane, slot, seq)
) WITH (
  -- A queue lives by its vacuum: dead rows in front of the index are what slows a reader.
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 200000,
  autovacuum_vacuum_cost_delay = 0
);

-- Messages that are not ready, by key.
CREATE INDEX message_aside ON sagaz.message (queue, slot, tenant, topic, key, seq) WHERE lane <> 0;
CREATE INDEX message_due ON sagaz.message (queue, lane, slot, due_at, seq) WHERE due_at IS NOT NULL;

-- lz4 compresses a payload in half the time of pglz, where the server was built with it.
DO $$
BEGIN
  ALTER TABLE sagaz.message ALTER COLUMN payload SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
  NULL;
END
$$;

-- The status of a message as people read it.
CREATE FUNCTION sagaz.lane_status(lane integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT (ARRAY['pending', 'retrying', 'held', 'optimistic', 'delayed', 'dead_letter', 'unrouted'])[lane + 1]
$$;

-- Reads messages that are ready in slots of a queue, from each slot's floor on and without what is being worked on, slot by
-- slot in the order given, until their payloads and 500 bytes for each row reach in_bytes; a row's size is
-- known without reading its payload. A function, because the way to the rows must not depend on
-- statistics, which are always wrong in a queue: along the index, never by collecting a whole slot to
-- sort it. STABLE, so that it reads the snapshot of the statement that calls it.
CREATE FUNCTION sagaz.message_read(
  in_queue integer, in_slots integer[], in_floors bigint[], in_flight bigint[], in_per_slot bigint,
  in_limit bigint, in_bytes bigint,
  in_within bigint DEFAULT NULL,
  in_tenants text[] DEFAULT NULL, in_topics text[] DEFAULT NULL, in_keys text[] DEFAULT NULL,
  in_without text[] DEFAULT NULL
) RETURNS SETOF sagaz.message LANGUAGE plpgsql STABLE ROWS 1000
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  got sagaz.message;
  room bigint := in_bytes;
BEGIN
  IF in_within IS NULL THEN
    FOR got IN
      SELECT r.* FROM unnest(in_slots, in_floors) WITH ORDINALITY AS w (slot, floor, place)
      CROSS JOIN LATERAL (
        SELECT p.* FROM sagaz.message p
        WHERE p.queue = in_queue AND p.lane = 0 AND p.slot = w.slot AND p.seq > w.floor
          AND p.seq NOT IN (SELECT unnest(in_flight))
        ORDER BY p.seq LIMIT in_per_slot
      ) AS r
      LIMIT in_limit
    LOOP
      RETURN NEXT got;
      room := room - 500 - octet_length(got.payload);
      EXIT WHEN room <= 0;
    END LOOP;
    RETURN;
  END IF;
  -- Past the ordered rows of keys that are busy, and all rows of topics that are left out. The rows that
  -- are looked at are limited first, because a key or topic may have any number of them.
  FOR got IN
    SELECT r.* FROM unnest(in_slots, in_floors) WITH ORDINALITY AS w (slot, floor, place)
    CROSS JOIN LATERAL (
      SELECT n.* FROM (
        SELECT p.* FROM sagaz.message p
        WHERE p.queue = in_queue AND p.lane = 0 AND p.slot = w.slot AND p.seq > w.floor
        ORDER BY p.seq LIMIT in_within
      ) AS n
      WHERE n.seq NOT IN (SELECT unnest(in_flight))
        AND NOT (
          n.ordered AND (n.tenant, n.topic, n.key) IN (SELECT * FROM unnest(in_tenants, in_topics, in_keys))
        )
        AND n.topic NOT IN (SELECT unnest(in_without))
      ORDER BY n.seq LIMIT in_per_slot
    ) AS r
    LIMIT in_limit
  LOOP
    RETURN NEXT got;
    room := room - 500 - octet_length(got.payload);
    EXIT WHEN room <= 0;
  END LOOP;
END
$$;

-- How far the next ready messages of slots belong to topics that are left out: the number before the first
-- one of another topic among in_within, or the last number that was looked at.
CREATE FUNCTION sagaz.message_pass(
  in_queue integer, in_slots integer[], in_floors bigint[], in_topics text[], in_within bigint
) RETURNS TABLE (slot integer, up_to bigint, more boolean) LANGUAGE plpgsql STABLE ROWS 256
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY
  SELECT w.slot, coalesce(min(n.seq) FILTER (WHERE NOT n.left_out) - 1, max(n.seq)), count(*) = in_within AND bool_and(n.left_out)
  FROM unnest(in_slots, in_floors) AS w (slot, floor) CROSS JOIN LATERAL (
    SELECT p.seq, p.topic = ANY (in_topics) AS left_out FROM sagaz.message p
    WHERE p.queue = in_queue AND p.lane = 0 AND p.slot = w.slot AND p.seq > w.floor
    ORDER BY p.seq LIMIT in_within
  ) AS n
  GROUP BY w.slot;
END
$$;

-- How many messages of a queue are in each lane, in_most at most, and when the first of those that wait was
-- written. A function for the same reason as that which reads.
CREATE FUNCTION sagaz.message_counts(in_queue integer, in_most bigint)
RETURNS TABLE (lane integer, counted bigint, since timestamptz) LANGUAGE plpgsql STABLE ROWS 6
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  FOR wanted IN 0..6 LOOP
    lane := wanted;
    SELECT count(*) INTO counted FROM (
      SELECT FROM sagaz.message m WHERE m.queue = in_queue AND m.lane = wanted LIMIT in_most
    ) AS those;
    CONTINUE WHEN counted = 0;
    SELECT min(head.created_at) INTO since FROM generate_series(0, 255) AS s (slot) CROSS JOIN LATERAL (
      SELECT m.created_at FROM sagaz.message m
      WHERE m.queue = in_queue AND m.lane = wanted AND m.slot = s.slot
      ORDER BY m.seq LIMIT 1
    ) AS head;
    RETURN NEXT;
  END LOOP;
END
$$;

-- Bytes as a person reads them: as text where they are text. Never fails, or one row of foreign bytes
-- would hide all others.
CREATE FUNCTION sagaz.readable(bytes bytea) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
  RETURN convert_from(bytes, 'UTF8');
EXCEPTION WHEN OTHERS THEN
  -- Not written as a text: what a backslash means in one depends on the session.
  RETURN chr(92) || 'x' || encode(bytes, 'hex');
END
$$;

CREATE VIEW sagaz.message_readable AS
SELECT
  m.seq, q.name AS queue, sagaz.lane_status(m.lane) AS status, m.attempts, m.tenant, m.topic, m.key, m.type,
  m.id, m.source, m.time, m.headers, m.content_type, sagaz.readable(m.payload) AS payload,
  m.created_at, m.due_at, m.reason, m.error, m.died_at, m.slot
FROM sagaz.message m LEFT JOIN sagaz.queue q ON q.id = m.queue;

-- @down
DROP VIEW sagaz.message_readable;
DROP FUNCTION
  sagaz.message_read(
    integer, integer[], bigint[], bigint[], bigint, bigint, bigint, bigint, text[], text[], text[], text[]
  ),
  sagaz.message_pass(integer, integer[], bigint[], text[], bigint),
  sagaz.message_counts(integer, bigint),
  sagaz.open_queue(text),
  sagaz.readable(bytea);
DROP TABLE sagaz.message, sagaz.slot_lease, sagaz.slot_member, sagaz.queue;
DROP FUNCTION sagaz.lane_status(integer);
DROP SEQUENCE sagaz.message_seq;
`,
    },
    {
      name: '0002_broker',
      text: `-- The broker: topics and consumer groups. Each group is a queue, whose name is its own; a message has a row
-- for each group of its topic.

CREATE TABLE sagaz.subscription (
  topic text NOT NULL,
  queue integer NOT NULL REFERENCES sagaz.queue ON DELETE CASCADE,
  -- False: what lay in the topic when the group joined is still being handed over to it. What is
  -- published meanwhile lies behind that.
  ready boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic, queue)
);

-- A message whose topic has no group yet lies in the queue 0; the first group gets it.
CREATE INDEX message_unrouted ON sagaz.message (topic, seq) WHERE lane = 6;

-- Which topics and groups are whose, for roles that have no right to insert into message: who has that right
-- may do everything, as the owner may.
CREATE TABLE sagaz.broker_grant (
  role_name text NOT NULL,
  -- publish: to a topic. read: a topic, by a group. consume: as a group.
  kind text NOT NULL CHECK (kind IN ('publish', 'read', 'consume')),
  name text NOT NULL,
  PRIMARY KEY (role_name, kind, name)
);

COMMENT ON TABLE sagaz.broker_grant IS 'What each restricted role may do: publish to a topic, read a topic, consume as a group.';

-- session_user: within a function of its owner's, current_user is the owner.
CREATE FUNCTION sagaz.unrestricted() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT has_table_privilege(session_user, 'sagaz.message', 'INSERT')
$$;

CREATE FUNCTION sagaz.own_queues() RETURNS text[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(b.name), '{}') FROM sagaz.broker_grant b
  WHERE b.role_name = session_user AND b.kind = 'consume'
$$;

CREATE FUNCTION sagaz.own_groups() RETURNS integer[] LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(g.id), '{}') FROM sagaz.queue g WHERE g.name = ANY (sagaz.own_queues())
$$;

CREATE FUNCTION sagaz.assert_granted(in_kind text, in_names text[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  missing text;
BEGIN
  IF sagaz.unrestricted() THEN
    RETURN;
  END IF;
  SELECT n.name INTO missing FROM unnest(in_names) AS n (name)
  WHERE NOT EXISTS (
    SELECT FROM sagaz.broker_grant b
    WHERE b.role_name = session_user AND b.kind = in_kind AND b.name = n.name
  )
  ORDER BY n.name LIMIT 1;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION USING
      ERRCODE = 'insufficient_privilege',
      MESSAGE = format('the role %s lacks the grant to %s %s', session_user, in_kind, missing),
      DETAIL = json_build_object('role', session_user, 'kind', in_kind, 'name', missing)::text;
  END IF;
END
$$;

-- Each is asked once for a statement, not for each row.
ALTER TABLE sagaz.message ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_group ON sagaz.message USING (
  (SELECT sagaz.unrestricted()) OR queue = ANY ((SELECT sagaz.own_groups())::integer[])
);
ALTER TABLE sagaz.queue ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_group ON sagaz.queue USING (
  (SELECT sagaz.unrestricted()) OR name = ANY ((SELECT sagaz.own_queues())::text[])
);
ALTER TABLE sagaz.subscription ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_group ON sagaz.subscription USING (
  (SELECT sagaz.unrestricted()) OR queue = ANY ((SELECT sagaz.own_groups())::integer[])
);
ALTER TABLE sagaz.slot_lease ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_group ON sagaz.slot_lease USING (
  (SELECT sagaz.unrestricted()) OR queue = ANY ((SELECT sagaz.own_queues())::text[])
);
ALTER TABLE sagaz.slot_member ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_group ON sagaz.slot_member USING (
  (SELECT sagaz.unrestricted()) OR queue = ANY ((SELECT sagaz.own_queues())::text[])
);

-- Writes each message once for each group of its topic, in the order of the arrays, and returns the
-- groups that got any. What is said (\`in_said\`) on a channel of NOTIFY is heard at the commit.
-- \`in_locks\` are those of the topics, ascending: shared among publishers, so
-- that no group can join a topic between the look at its groups and the commit. Without that, a group
-- that joins meanwhile gets neither this message nor a place from which it would find it.
CREATE FUNCTION sagaz.publish(
  in_locks integer[], in_slots integer[], in_ids text[], in_tenants text[], in_topics text[],
  in_keys text[], in_types text[], in_sources text[], in_times text[], in_content_types text[],
  in_headers text[], in_payloads bytea[], in_channel text DEFAULT NULL, in_said text[] DEFAULT '{}'
) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  topic_lock integer;
  reached text[];
BEGIN
  PERFORM sagaz.assert_granted('publish', in_topics);
  FOREACH topic_lock IN ARRAY in_locks LOOP
    PERFORM pg_advisory_xact_lock_shared(1396786500, topic_lock);
  END LOOP;
  -- A statement of its own, which sees what was committed while the locks were waited for.
  WITH written AS (
    INSERT INTO sagaz.message
      (queue, lane, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
    SELECT
      CASE WHEN s.ready THEN s.queue ELSE 0 END, CASE WHEN s.ready THEN 0 ELSE 6 END,
      r.slot, r.id, r.tenant, r.topic, r.key, r.type, r.source, r.time, r.content_type, r.headers::json, r.payload
    FROM unnest(
      in_slots, in_ids, in_tenants, in_topics, in_keys, in_types, in_sources, in_times, in_content_types,
      in_headers, in_payloads
    ) WITH ORDINALITY AS r (
      slot, id, tenant, topic, key, type, source, time, content_type, headers, payload, place
    )
    LEFT JOIN sagaz.subscription s ON s.topic = r.topic
    ORDER BY r.place
    RETURNING queue
  )
  SELECT array_agg(g.name) INTO reached
  FROM sagaz.queue g
  WHERE g.id IN (SELECT w.queue FROM written w);
  IF in_said <> '{}' THEN
    PERFORM pg_notify(in_channel, said) FROM unnest(in_said) AS said;
  END IF;
  RETURN coalesce(reached, '{}');
END
$$;

-- The same for one message, the usual case of a broker that is not busy. Plain values cost the server half
-- as much as arrays and their join.
CREATE FUNCTION sagaz.publish_one(
  in_lock integer, in_slot integer, in_id text, in_tenant text, in_topic text, in_key text, in_type text,
  in_source text, in_time text, in_content_type text, in_headers text, in_payload bytea,
  in_channel text DEFAULT NULL, in_said text[] DEFAULT '{}'
) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  reached text[];
BEGIN
  PERFORM sagaz.assert_granted('publish', ARRAY[in_topic]);
  PERFORM pg_advisory_xact_lock_shared(1396786500, in_lock);
  WITH written AS (
    INSERT INTO sagaz.message
      (queue, lane, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
    SELECT
      CASE WHEN s.ready THEN s.queue ELSE 0 END, CASE WHEN s.ready THEN 0 ELSE 6 END,
      in_slot, in_id, in_tenant, in_topic, in_key, in_type, in_source, in_time, in_content_type,
      in_headers::json, in_payload
    FROM (SELECT) AS always LEFT JOIN sagaz.subscription s ON s.topic = in_topic
    RETURNING queue
  )
  SELECT array_agg(g.name) INTO reached
  FROM sagaz.queue g
  WHERE g.id IN (SELECT w.queue FROM written w);
  IF in_said <> '{}' THEN
    PERFORM pg_notify(in_channel, said) FROM unnest(in_said) AS said;
  END IF;
  RETURN coalesce(reached, '{}');
END
$$;

-- Lets a group join topics. Returns its number, and of the topics those in which something lies that is
-- still to be handed over to it.
CREATE FUNCTION sagaz.subscribe(
  in_group text, in_topics text[], in_locks integer[], OUT group_id integer, OUT unfinished text[]
) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  topic_lock integer;
BEGIN
  PERFORM sagaz.assert_granted('consume', ARRAY[in_group]);
  PERFORM sagaz.assert_granted('read', in_topics);
  group_id := sagaz.open_queue(in_group);
  -- Nearly every start finds all as it is, and keeps no publisher waiting.
  IF (
    SELECT count(*) FROM sagaz.subscription s WHERE s.queue = group_id AND s.topic = ANY (in_topics)
  ) < cardinality(in_topics) THEN
    FOREACH topic_lock IN ARRAY in_locks LOOP
      PERFORM pg_advisory_xact_lock(1396786500, topic_lock);
    END LOOP;
    INSERT INTO sagaz.subscription (topic, queue, ready)
    SELECT
      t.topic, group_id,
      NOT EXISTS (SELECT FROM sagaz.message m WHERE m.lane = 6 AND m.topic = t.topic)
        -- The messages there are another group's already.
        OR EXISTS (SELECT FROM sagaz.subscription s WHERE s.topic = t.topic AND NOT s.ready)
    FROM unnest(in_topics) AS t (topic) ON CONFLICT DO NOTHING;
  END IF;
  unfinished := ARRAY(
    SELECT s.topic FROM sagaz.subscription s
    WHERE s.queue = group_id AND s.topic = ANY (in_topics) AND NOT s.ready
  );
END
$$;

-- Hands over to a group at most \`in_limit\` messages of those that lay in a topic when it joined, and
-- returns the last number, from which to go on; NULL when none is left and the topic is ready. In steps,
-- because there is no bound to how many there are. A step that is not followed by another one, since
-- its process died, is followed by the next start of the group.
--
-- They take new numbers in their old order. The group may live already, and have read past the old ones:
-- its processes would deliver what is published next before what they do not see. New numbers are above
-- whatever they have read up to, as a publisher's are, so no version has to tell them to go back. What is
-- published between two steps lies behind the rest until its turn; what is published after the last
-- one has a higher number, because its publisher waits for the lock until that is committed.
CREATE FUNCTION sagaz.hand_over(
  in_group integer, in_topic text, in_lock integer, in_after bigint, in_limit integer
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  moved bigint;
  last bigint;
BEGIN
  PERFORM sagaz.assert_granted('consume', ARRAY(SELECT g.name FROM sagaz.queue g WHERE g.id = in_group));
  PERFORM pg_advisory_xact_lock(1396786500, in_lock);
  -- Another process of the group may have been faster. A statement of its own, which sees that.
  PERFORM FROM sagaz.subscription s
  WHERE s.topic = in_topic AND s.queue = in_group AND NOT s.ready;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- Sorted before numbers are drawn, and each row is drawn for once: neither may be merged with the
  -- UPDATE, which takes its rows in any order. The transaction id comes before the first number, as
  -- with every message.
  WITH sorted AS MATERIALIZED (
    SELECT m.slot, m.seq FROM sagaz.message m
    WHERE m.lane = 6 AND m.topic = in_topic AND m.seq > in_after ORDER BY m.seq LIMIT in_limit
  ), numbered AS MATERIALIZED (
    SELECT o.slot, o.seq, CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('sagaz.message_seq') END AS next
    FROM sorted o
  ), handed AS (
    UPDATE sagaz.message m SET queue = in_group, lane = 0, seq = n.next
    FROM numbered n WHERE m.queue = 0 AND m.lane = 6 AND m.slot = n.slot AND m.seq = n.seq
    RETURNING n.seq AS before
  )
  SELECT count(*), max(h.before) INTO moved, last FROM handed h;
  IF moved = in_limit THEN
    RETURN last;
  END IF;
  UPDATE sagaz.subscription SET ready = true WHERE topic = in_topic AND queue = in_group;
  RETURN NULL;
END
$$;

-- Counts, by topic, the first rows of a queue in each of some lanes, and tells when the oldest row was written
-- of those that were seen: the counted ones, and the first one of each slot.
CREATE FUNCTION sagaz.topic_lag(in_queue integer, in_lanes integer[], in_most bigint)
RETURNS TABLE (topic text, counted bigint, since timestamptz) LANGUAGE plpgsql STABLE ROWS 10
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  RETURN QUERY
  SELECT seen.topic, sum(seen.counted)::bigint, min(seen.since) FROM (
    SELECT one.topic, count(*) AS counted, min(one.created_at) AS since
    FROM unnest(in_lanes) AS w (lane) CROSS JOIN LATERAL (
      SELECT m.topic, m.created_at FROM sagaz.message m
      WHERE m.queue = in_queue AND m.lane = w.lane LIMIT in_most
    ) AS one
    GROUP BY one.topic
    UNION ALL
    SELECT head.topic, 0, min(head.created_at)
    FROM unnest(in_lanes) AS w (lane) CROSS JOIN generate_series(0, 255) AS s (slot) CROSS JOIN LATERAL (
      SELECT m.topic, m.created_at FROM sagaz.message m
      WHERE m.queue = in_queue AND m.lane = w.lane AND m.slot = s.slot
      ORDER BY m.seq LIMIT 1
    ) AS head
    GROUP BY head.topic
  ) AS seen
  GROUP BY seen.topic;
END
$$;

-- @down
DROP FUNCTION sagaz.topic_lag(integer, integer[], bigint);
DROP TABLE sagaz.subscription;
DROP POLICY own_group ON sagaz.message;
ALTER TABLE sagaz.message DISABLE ROW LEVEL SECURITY;
DROP POLICY own_group ON sagaz.queue;
ALTER TABLE sagaz.queue DISABLE ROW LEVEL SECURITY;
DROP POLICY own_group ON sagaz.slot_lease;
ALTER TABLE sagaz.slot_lease DISABLE ROW LEVEL SECURITY;
DROP POLICY own_group ON sagaz.slot_member;
ALTER TABLE sagaz.slot_member DISABLE ROW LEVEL SECURITY;
DROP TABLE sagaz.broker_grant;
DROP INDEX sagaz.message_unrouted;
DROP FUNCTION
  sagaz.unrestricted(),
  sagaz.own_queues(),
  sagaz.own_groups(),
  sagaz.assert_granted(text, text[]),
  sagaz.publish(
    integer[], integer[], text[], text[], text[], text[], text[], text[], text[], text[], text[], bytea[], text, text[]
  ),
  sagaz.publish_one(
    integer, integer, text, text, text, text, text, text, text, text, text, bytea, text, text[]
  ),
  sagaz.subscribe(text, text[], integer[]),
  sagaz.hand_over(integer, text, integer, bigint, integer);
`,
    },
  ],
};
