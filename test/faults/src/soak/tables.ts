/** Schemas of Sagaz's tables: two services in one database, the broker in one of its own. */
export const SCHEMAS = { orders: 'sagaz_orders', stock: 'sagaz_stock', broker: 'sagaz_broker' };

/** Notes of these keys are numbered by their transactions and must arrive in that order. */
export const NOTE_KEYS = ['k1', 'k2', 'k3', 'k4'];

/**
 * The application's books. No table has a constraint that could hide a second effect: an effect that
 * happened twice has two rows.
 */
export const BOOKS = `
CREATE SCHEMA app;
CREATE TABLE app.local_effect (order_id text NOT NULL, step text NOT NULL);
CREATE TABLE app.external_effect (order_id text NOT NULL, step text NOT NULL, key text NOT NULL);
CREATE TABLE app.handler_effect (message_id uuid NOT NULL, type text NOT NULL, order_id text NOT NULL);
CREATE TABLE app.published (message_id uuid NOT NULL, key text NOT NULL, n int);
CREATE TABLE app.note_key (key text PRIMARY KEY, n int NOT NULL);
CREATE TABLE app.delivery (
  seq bigserial PRIMARY KEY, message_id uuid NOT NULL, topic text NOT NULL, key text NOT NULL, n int NOT NULL,
  process text NOT NULL, pid int NOT NULL, attempt int NOT NULL, after_death boolean NOT NULL,
  -- By the clock of the process that handled it, and by that of the server.
  began_at timestamptz NOT NULL, written_at timestamptz NOT NULL DEFAULT clock_timestamp());
INSERT INTO app.note_key SELECT unnest('{${NOTE_KEYS.join(',')}}'::text[]), 0;
`;
