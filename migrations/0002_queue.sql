-- Queues of messages, cut into slots. Each destination of the outbox is a queue, and so is each consumer
-- group of the Postgres broker. This file lies in migrations/ and, as a copy, in migrations/broker/: edit
-- the first one, and `npm run migrations:embed` writes the copy.

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
