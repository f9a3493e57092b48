-- The outbox: queues into which transactions write, one for each destination.

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

-- Many messages, in the order of the arrays; the locks as for outbox_lock. `in_deferred`: the
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
