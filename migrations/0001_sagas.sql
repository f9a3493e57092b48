-- Sagas, their journals, their mail, and the engines that run them.

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
