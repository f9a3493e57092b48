-- The broker: topics and consumer groups. Each group is a queue, whose name is its own; a message has a row
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
