-- Slots, and the outbox that is cut into them.

-- Who works: one row for each living process that shares the slots of a queue.
CREATE TABLE sagaz.slot_member (
  queue text NOT NULL,
  incarnation text NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (queue, incarnation)
) WITH (fillfactor = 50);

-- Who owns which slot. A fenced write locks the row of its slot and matches owner and epoch; a
-- take-over is an update of that row, so that after it no write of the old owner commits.
CREATE TABLE sagaz.slot_lease (
  queue text NOT NULL,
  slot smallint NOT NULL,
  owner text,
  -- Rises with every take-over.
  epoch bigint NOT NULL DEFAULT 0,
  -- Rises when rows come back at numbers that owners may have left behind.
  version bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity',
  -- How many owners in a row died here without progress.
  crashes integer NOT NULL DEFAULT 0,
  -- The number of the message that is worked on alone, because of those crashes.
  suspect bigint,
  PRIMARY KEY (queue, slot)
) WITH (fillfactor = 50);

INSERT INTO sagaz.slot_lease (queue, slot) SELECT 'outbox', slot FROM generate_series(0, 255) AS slot;

-- CACHE 1: numbers that one session drew ahead would be given out late, after higher ones of the
-- same key were published.
CREATE SEQUENCE sagaz.outbox_seq AS bigint CACHE 1;

CREATE TABLE sagaz.outbox (
  -- The place in the key. The transaction id is assigned before the number is drawn, whoever inserts:
  -- a reader that sees every older transaction ended then knows that no lower number can appear.
  -- nextval alone assigns no transaction id.
  seq bigint NOT NULL DEFAULT (
    CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('sagaz.outbox_seq') END
  ),
  slot smallint NOT NULL,
  -- False: its neighbours of the key may overtake it.
  ordered boolean NOT NULL DEFAULT true,
  -- On a dead letter: it goes on holding back its key.
  blocks boolean NOT NULL DEFAULT false,
  -- Failed attempts so far.
  attempts integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When a delayed, retrying or optimistic message is due; null on all others.
  due_at timestamptz,
  died_at timestamptz,
  status text NOT NULL DEFAULT 'pending' CHECK (
    status IN ('pending', 'delayed', 'optimistic', 'retrying', 'held', 'dead_letter')
  ),
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
  -- Numbers are unique by themselves. Led by the slot, like every index that could serve a read of
  -- slots: one led by the number would tempt the planner to walk the rows of all slots in order.
  PRIMARY KEY (slot, seq),
  -- What an index entry can hold; refused when written and not when the message has to be set aside.
  CONSTRAINT outbox_key_length CHECK (
    octet_length(tenant) + octet_length(topic) + octet_length(key) <= 2000
  )
) WITH (
  -- A queue lives by its vacuum: dead rows in front of the index are what slows a reader.
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 200000,
  autovacuum_vacuum_cost_delay = 0
);

-- What may be read, and nothing else: a hundred thousand messages set aside cost a reader nothing.
CREATE INDEX outbox_pending ON sagaz.outbox (slot, seq) WHERE status = 'pending';
-- What is set aside, by key.
CREATE INDEX outbox_aside ON sagaz.outbox (slot, tenant, topic, key, seq) WHERE status <> 'pending';
CREATE INDEX outbox_due ON sagaz.outbox (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_dead_letter ON sagaz.outbox (seq) WHERE status = 'dead_letter';

-- What is pending in slots, from each slot's floor on and without what is being worked on, slot by slot
-- in the order given, until their payloads and 500 bytes for each row reach in_bytes; a row's size is
-- known without reading its payload. A function, because the way to the rows must not depend on
-- statistics, which are always wrong in a queue: along the index, never by collecting a whole slot to
-- sort it. STABLE, so that it reads the snapshot of the statement that calls it.
CREATE FUNCTION sagaz.outbox_read(
  in_slots integer[], in_floors bigint[], in_flight bigint[], in_per_slot bigint,
  in_limit bigint, in_bytes bigint,
  in_tenants text[] DEFAULT NULL, in_topics text[] DEFAULT NULL, in_keys text[] DEFAULT NULL,
  in_within bigint DEFAULT NULL
) RETURNS SETOF sagaz.outbox LANGUAGE plpgsql STABLE ROWS 1000
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  got sagaz.outbox;
  room bigint := in_bytes;
BEGIN
  IF in_keys IS NULL THEN
    FOR got IN
      SELECT r.* FROM unnest(in_slots, in_floors) WITH ORDINALITY AS w (slot, floor, place)
      CROSS JOIN LATERAL (
        SELECT p.* FROM sagaz.outbox p
        WHERE p.slot = w.slot AND p.seq > w.floor AND p.status = 'pending'
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
  -- Past the ordered rows of keys that are busy. The rows that are looked at are limited first, because
  -- a busy key may have any number of them.
  FOR got IN
    SELECT r.* FROM unnest(in_slots, in_floors) WITH ORDINALITY AS w (slot, floor, place)
    CROSS JOIN LATERAL (
      SELECT n.* FROM (
        SELECT p.* FROM sagaz.outbox p
        WHERE p.slot = w.slot AND p.seq > w.floor AND p.status = 'pending'
        ORDER BY p.seq LIMIT in_within
      ) AS n
      WHERE n.seq NOT IN (SELECT unnest(in_flight))
        AND NOT (
          n.ordered AND (n.tenant, n.topic, n.key) IN (SELECT * FROM unnest(in_tenants, in_topics, in_keys))
        )
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

CREATE VIEW sagaz.outbox_readable AS
SELECT
  seq, status, attempts, tenant, topic, key, type, id, source, time, headers, content_type,
  sagaz.readable(payload) AS payload,
  created_at, due_at, reason, error, died_at, slot
FROM sagaz.outbox;

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

-- Many messages, in the order of the arrays; the locks as for outbox_lock. `in_deferred`: the
-- transaction is a caller's and may hold deferred constraints. Numbers are drawn by the
-- column's default while rows are inserted, which is after the locks and in the order of the sort.
CREATE FUNCTION sagaz.outbox_append_many(
  in_deferred boolean, in_slot_locks integer[], in_key_locks integer[], in_exclusively boolean,
  in_slots integer[], in_ordered boolean[], in_delays_ms bigint[],
  in_ids text[], in_tenants text[], in_topics text[], in_keys text[], in_types text[], in_sources text[],
  in_times text[], in_content_types text[], in_headers text[], in_payloads bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF in_deferred THEN
    SET CONSTRAINTS ALL IMMEDIATE;
  END IF;
  PERFORM sagaz.outbox_lock(in_slot_locks, in_key_locks, in_exclusively);
  INSERT INTO sagaz.outbox
    (status, due_at, slot, ordered, id, tenant, topic, key, type, source, time, content_type, headers, payload)
  SELECT
    CASE WHEN r.delay_ms > 0 THEN 'delayed' ELSE 'pending' END,
    CASE WHEN r.delay_ms > 0 THEN clock_timestamp() + r.delay_ms * interval '1 millisecond' END,
    r.slot, r.ordered, r.id, r.tenant, r.topic, r.key, r.type, r.source, r.time, r.content_type,
    r.headers::json, r.payload
  FROM unnest(
    in_slots, in_ordered, in_delays_ms, in_ids, in_tenants, in_topics, in_keys, in_types, in_sources,
    in_times, in_content_types, in_headers, in_payloads
  ) WITH ORDINALITY AS r (
    slot, ordered, delay_ms, id, tenant, topic, key, type, source, time, content_type, headers, payload, place
  )
  ORDER BY r.place;
END
$$;

-- @down
DROP VIEW sagaz.outbox_readable;
DROP FUNCTION sagaz.outbox_read(
  integer[], bigint[], bigint[], bigint, bigint, bigint, text[], text[], text[], bigint
);
DROP TABLE sagaz.outbox, sagaz.slot_lease, sagaz.slot_member;
DROP SEQUENCE sagaz.outbox_seq;
DROP FUNCTION
  sagaz.readable(bytea),
  sagaz.outbox_lock(integer[], integer[], boolean),
  sagaz.constraints_checked(),
  sagaz.outbox_append_many(
    boolean, integer[], integer[], boolean, integer[], boolean[], bigint[], text[], text[], text[],
    text[], text[], text[], text[], text[], text[], bytea[]
  );
