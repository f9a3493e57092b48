-- Inboxes: what the consumers of this database have handled, what participants know of a saga's
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
