-- Sagas, their journals, their mail, and the engines that run them.

CREATE TABLE sagaz.saga (
  id uuid PRIMARY KEY,
  tenant text NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  key text,
  input_digest text NOT NULL,
  status text NOT NULL CHECK (status IN (
    'pending', 'running', 'waiting', 'compensating', 'completed', 'compensated',
    'partially_committed', 'needs_attention', 'terminated'
  )),
  revision integer NOT NULL,
  owner uuid,
  epoch integer NOT NULL,
  wake_at timestamptz,
  deadline timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
-- A saga is updated once per step. The free space lets most updates stay on their page and touch no
-- index (HOT), which is also why nothing indexes status, revision, epoch or updated_at.
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE UNIQUE INDEX saga_key ON sagaz.saga (tenant, name, key) WHERE key IS NOT NULL;
CREATE INDEX saga_owner ON sagaz.saga (owner) WHERE owner IS NOT NULL;
CREATE INDEX saga_due ON sagaz.saga (wake_at) WHERE owner IS NULL AND wake_at IS NOT NULL;

COMMENT ON TABLE sagaz.saga IS 'One small row per saga: where it stands and who runs it. What happened is in saga_journal.';
COMMENT ON COLUMN sagaz.saga.key IS 'Idempotency key given by the caller; unique per tenant and name.';
COMMENT ON COLUMN sagaz.saga.input_digest IS 'Digest of the input: the same key with another input is refused.';
COMMENT ON COLUMN sagaz.saga.revision IS 'Rises by one with every transition and guards it.';
COMMENT ON COLUMN sagaz.saga.owner IS 'Incarnation of the engine that runs it (table engine); null: nobody does.';
COMMENT ON COLUMN sagaz.saga.epoch IS 'Rises whenever an engine takes the saga.';
COMMENT ON COLUMN sagaz.saga.wake_at IS 'When a saga without an owner is due; null: only mail wakes it.';

-- No foreign key to saga: it would lock the saga row with every entry.
CREATE TABLE sagaz.saga_journal (
  saga_id uuid NOT NULL,
  revision integer NOT NULL,
  ordinal integer NOT NULL,
  transition_id uuid NOT NULL,
  kind text NOT NULL,
  step text,
  attempt integer NOT NULL,
  data text,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (saga_id, revision, ordinal)
);

COMMENT ON TABLE sagaz.saga_journal IS 'Everything that happened to a saga, in order of revision and ordinal. Append-only.';
COMMENT ON COLUMN sagaz.saga_journal.transition_id IS 'Tells whether a transition whose answer was lost is there.';
COMMENT ON COLUMN sagaz.saga_journal.data IS 'JSON text; data::jsonb to look inside.';

CREATE TABLE sagaz.saga_mail (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  saga_id uuid NOT NULL,
  kind text NOT NULL,
  dedupe_key text NOT NULL,
  data text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (saga_id, dedupe_key)
)
-- Short-lived rows: the table must not grow by what was read long ago.
WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

COMMENT ON TABLE sagaz.saga_mail IS 'Replies, cancels and other news for sagas, until the transition that takes them into account.';

CREATE TABLE sagaz.engine (
  incarnation uuid PRIMARY KEY,
  service text NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  beat bigint NOT NULL DEFAULT 1,
  ttl_ms integer NOT NULL,
  runs jsonb NOT NULL DEFAULT '{}',
  beat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
WITH (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

COMMENT ON TABLE sagaz.engine IS 'The living engines. A saga whose owner is not here may be taken by any of them.';
COMMENT ON COLUMN sagaz.engine.beat IS 'Rises with every heartbeat.';
COMMENT ON COLUMN sagaz.engine.runs IS 'Names of the sagas it runs, each with its versions: {"place-order": [1, 2]}.';

-- @down
DROP TABLE sagaz.engine, sagaz.saga_mail, sagaz.saga_journal, sagaz.saga;
