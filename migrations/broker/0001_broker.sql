-- The broker: topics, consumer groups, and for each group the messages that it has before it.

CREATE TABLE sagaz.slot_member (
  queue text NOT NULL,
  incarnation text NOT NULL,
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (queue, incarnation)
) WITH (fillfactor = 50);

COMMENT ON TABLE sagaz.slot_member IS 'The living processes of each consumer group.';

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

COMMENT ON TABLE sagaz.slot_lease IS 'Which process of a consumer group works on which slot of its messages. A fenced write locks this row; a take-over changes it.';
COMMENT ON COLUMN sagaz.slot_lease.epoch IS 'Rises with every take-over.';
COMMENT ON COLUMN sagaz.slot_lease.version IS 'Rises when messages come back at numbers that owners may have left behind. Those of a topic that a group joins do not: they get new ones.';
COMMENT ON COLUMN sagaz.slot_lease.crashes IS 'How many owners in a row died here without progress.';
COMMENT ON COLUMN sagaz.slot_lease.suspect IS 'The message that is worked on alone, because of those crashes.';

CREATE TABLE sagaz.consumer_group (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE sagaz.subscription (
  topic text NOT NULL,
  consumer_group integer NOT NULL REFERENCES sagaz.consumer_group ON DELETE CASCADE,
  -- False: what lay in the topic when the group joined is still being handed over to it. What is
  -- published meanwhile lies behind that.
  ready boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (topic, consumer_group)
);

-- CACHE 1: numbers that one session drew ahead would be given out late, after higher ones were read.
CREATE SEQUENCE sagaz.message_seq AS bigint CACHE 1;

CREATE TABLE sagaz.message (
  -- The transaction id is assigned before the number is drawn: a reader that sees every older
  -- transaction ended then knows that no lower number can appear.
  seq bigint NOT NULL DEFAULT (
    CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('sagaz.message_seq') END
  ),
  -- One row for each group of the topic. 0: the topic had no group yet; the first one gets it. No
  -- foreign key: it would lock a row of consumer_group with every message.
  consumer_group integer NOT NULL,
  slot smallint NOT NULL,
  ordered boolean NOT NULL DEFAULT true,
  blocks boolean NOT NULL DEFAULT false,
  -- Deliveries that failed.
  attempts integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  due_at timestamptz,
  died_at timestamptz,
  status text NOT NULL CHECK (status IN ('pending', 'retrying', 'held', 'dead_letter', 'unrouted')),
  id text NOT NULL,
  tenant text NOT NULL,
  topic text NOT NULL,
  key text NOT NULL,
  type text NOT NULL,
  source text NOT NULL,
  time text NOT NULL,
  content_type text NOT NULL,
  headers json NOT NULL,
  payload bytea NOT NULL,
  error text,
  reason text,
  -- Numbers are unique by themselves. Led by group and slot, like every index that could serve a read:
  -- one led by the number would tempt the planner to walk the messages of all groups in order.
  PRIMARY KEY (consumer_group, slot, seq),
  CONSTRAINT message_group CHECK ((consumer_group = 0) = (status = 'unrouted')),
  CONSTRAINT message_key_length CHECK (
    octet_length(tenant) + octet_length(topic) + octet_length(key) <= 2000
  )
) WITH (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 200000,
  autovacuum_vacuum_cost_delay = 0
);

-- What may be delivered, and nothing else.
CREATE INDEX message_pending ON sagaz.message (consumer_group, slot, seq) WHERE status = 'pending';
-- What is set aside, by key.
CREATE INDEX message_aside ON sagaz.message (consumer_group, slot, tenant, topic, key, seq)
  WHERE status <> 'pending';
CREATE INDEX message_due ON sagaz.message (consumer_group, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_unrouted ON sagaz.message (topic, seq) WHERE status = 'unrouted';

-- What is pending for a group in slots, from each slot's floor on and without what is being worked on,
-- slot by slot in the order given, until their payloads and 500 bytes for each row reach in_bytes; a
-- row's size is known without reading its payload. A function, because the way to the rows must not
-- depend on statistics, which are always wrong in a queue: along the index, never by collecting a whole
-- slot to sort it. STABLE, so that it reads the snapshot of the statement that calls it.
CREATE FUNCTION sagaz.message_read(
  in_group integer, in_slots integer[], in_floors bigint[], in_flight bigint[], in_per_slot bigint,
  in_limit bigint, in_bytes bigint,
  in_tenants text[] DEFAULT NULL, in_topics text[] DEFAULT NULL, in_keys text[] DEFAULT NULL,
  in_within bigint DEFAULT NULL
) RETURNS SETOF sagaz.message LANGUAGE plpgsql STABLE ROWS 1000
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  got sagaz.message;
  room bigint := in_bytes;
BEGIN
  IF in_keys IS NULL THEN
    FOR got IN
      SELECT r.* FROM unnest(in_slots, in_floors) WITH ORDINALITY AS w (slot, floor, place)
      CROSS JOIN LATERAL (
        SELECT p.* FROM sagaz.message p
        WHERE p.consumer_group = in_group AND p.slot = w.slot AND p.seq > w.floor AND p.status = 'pending'
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
        SELECT p.* FROM sagaz.message p
        WHERE p.consumer_group = in_group AND p.slot = w.slot AND p.seq > w.floor AND p.status = 'pending'
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

CREATE VIEW sagaz.message_readable AS
SELECT
  m.seq, g.name AS consumer_group, m.status, m.attempts, m.tenant, m.topic, m.key, m.type, m.id,
  m.source, m.time, m.headers, m.content_type, sagaz.readable(m.payload) AS payload,
  m.created_at, m.due_at, m.reason, m.error, m.died_at, m.slot
FROM sagaz.message m LEFT JOIN sagaz.consumer_group g ON g.id = m.consumer_group;

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
  SELECT coalesce(array_agg(g.id), '{}') FROM sagaz.consumer_group g WHERE g.name = ANY (sagaz.own_queues())
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
  (SELECT sagaz.unrestricted()) OR consumer_group = ANY ((SELECT sagaz.own_groups())::integer[])
);
ALTER TABLE sagaz.consumer_group ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_group ON sagaz.consumer_group USING (
  (SELECT sagaz.unrestricted()) OR name = ANY ((SELECT sagaz.own_queues())::text[])
);
ALTER TABLE sagaz.subscription ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_group ON sagaz.subscription USING (
  (SELECT sagaz.unrestricted()) OR consumer_group = ANY ((SELECT sagaz.own_groups())::integer[])
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
-- groups that got any. What is said (`in_said`) on a channel of NOTIFY is heard at the commit.
-- `in_locks` are those of the topics, ascending: shared among publishers, so
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
      (consumer_group, status, slot, id, tenant, topic, key, type, source, time, content_type, headers, payload)
    SELECT
      CASE WHEN s.ready THEN s.consumer_group ELSE 0 END, CASE WHEN s.ready THEN 'pending' ELSE 'unrouted' END,
      r.slot, r.id, r.tenant, r.topic, r.key, r.type, r.source, r.time, r.content_type, r.headers::json, r.payload
    FROM unnest(
      in_slots, in_ids, in_tenants, in_topics, in_keys, in_types, in_sources, in_times, in_content_types,
      in_headers, in_payloads
    ) WITH ORDINALITY AS r (
      slot, id, tenant, topic, key, type, source, time, content_type, headers, payload, place
    )
    LEFT JOIN sagaz.subscription s ON s.topic = r.topic
    ORDER BY r.place
    RETURNING consumer_group
  )
  SELECT array_agg(g.name) INTO reached
  FROM sagaz.consumer_group g
  WHERE g.id IN (SELECT w.consumer_group FROM written w);
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
  SELECT g.id INTO group_id FROM sagaz.consumer_group g WHERE g.name = in_group;
  IF group_id IS NULL THEN
    INSERT INTO sagaz.consumer_group (name) VALUES (in_group) ON CONFLICT (name) DO NOTHING;
    SELECT g.id INTO STRICT group_id FROM sagaz.consumer_group g WHERE g.name = in_group;
    INSERT INTO sagaz.slot_lease (queue, slot)
    SELECT in_group, slot FROM generate_series(0, 255) AS slot ON CONFLICT DO NOTHING;
  END IF;
  -- Nearly every start finds all as it is, and keeps no publisher waiting.
  IF (
    SELECT count(*) FROM sagaz.subscription s WHERE s.consumer_group = group_id AND s.topic = ANY (in_topics)
  ) < cardinality(in_topics) THEN
    FOREACH topic_lock IN ARRAY in_locks LOOP
      PERFORM pg_advisory_xact_lock(1396786500, topic_lock);
    END LOOP;
    INSERT INTO sagaz.subscription (topic, consumer_group, ready)
    SELECT
      t.topic, group_id,
      NOT EXISTS (SELECT FROM sagaz.message m WHERE m.status = 'unrouted' AND m.topic = t.topic)
        -- What lies there is another group's already.
        OR EXISTS (SELECT FROM sagaz.subscription s WHERE s.topic = t.topic AND NOT s.ready)
    FROM unnest(in_topics) AS t (topic) ON CONFLICT DO NOTHING;
  END IF;
  unfinished := ARRAY(
    SELECT s.topic FROM sagaz.subscription s
    WHERE s.consumer_group = group_id AND s.topic = ANY (in_topics) AND NOT s.ready
  );
END
$$;

-- Hands over to a group at most `in_limit` messages of those that lay in a topic when it joined, and
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
  PERFORM sagaz.assert_granted('consume', ARRAY(SELECT g.name FROM sagaz.consumer_group g WHERE g.id = in_group));
  PERFORM pg_advisory_xact_lock(1396786500, in_lock);
  -- Another process of the group may have been faster. A statement of its own, which sees that.
  PERFORM FROM sagaz.subscription s
  WHERE s.topic = in_topic AND s.consumer_group = in_group AND NOT s.ready;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- Sorted before numbers are drawn, and each row is drawn for once: neither may be merged with the
  -- UPDATE, which takes its rows in any order. The transaction id comes before the first number, as
  -- with every message.
  WITH sorted AS MATERIALIZED (
    SELECT m.slot, m.seq FROM sagaz.message m
    WHERE m.status = 'unrouted' AND m.topic = in_topic AND m.seq > in_after ORDER BY m.seq LIMIT in_limit
  ), numbered AS MATERIALIZED (
    SELECT o.slot, o.seq, CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('sagaz.message_seq') END AS next
    FROM sorted o
  ), handed AS (
    UPDATE sagaz.message m SET consumer_group = in_group, status = 'pending', seq = n.next
    FROM numbered n WHERE m.consumer_group = 0 AND m.slot = n.slot AND m.seq = n.seq
    RETURNING n.seq AS before
  )
  SELECT count(*), max(h.before) INTO moved, last FROM handed h;
  IF moved = in_limit THEN
    RETURN last;
  END IF;
  UPDATE sagaz.subscription SET ready = true WHERE topic = in_topic AND consumer_group = in_group;
  RETURN NULL;
END
$$;

-- @down
DROP VIEW sagaz.message_readable;
DROP FUNCTION sagaz.message_read(
  integer, integer[], bigint[], bigint[], bigint, bigint, bigint, text[], text[], text[], bigint
);
DROP TABLE
  sagaz.message, sagaz.subscription, sagaz.consumer_group, sagaz.slot_lease, sagaz.slot_member, sagaz.broker_grant;
DROP SEQUENCE sagaz.message_seq;
DROP FUNCTION
  sagaz.readable(bytea),
  sagaz.unrestricted(),
  sagaz.own_queues(),
  sagaz.own_groups(),
  sagaz.assert_granted(text, text[]),
  sagaz.publish(
    integer[], integer[], text[], text[], text[], text[], text[], text[], text[], text[], text[], bytea[], text, text[]
  ),
  sagaz.subscribe(text, text[], integer[]),
  sagaz.hand_over(integer, text, integer, bigint, integer);
