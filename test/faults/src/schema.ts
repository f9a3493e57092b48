/** Schemas of Sagaz's tables: two services and the broker between them, all in one database. */
export const ORDERS_SCHEMA = 'sagaz_orders';
export const STOCK_SCHEMA = 'sagaz_stock';
export const BROKER_SCHEMA = 'sagaz_broker';

/**
 * The application's tables. None has a constraint that could hide a second effect: what happened
 * twice lies there twice.
 */
export const APP_TABLES = `
CREATE SCHEMA app;
CREATE TABLE app.placed (order_id text NOT NULL);
CREATE TABLE app.local_effect (order_id text NOT NULL, step text NOT NULL, pid int NOT NULL);
CREATE TABLE app.external_effect (order_id text NOT NULL, step text NOT NULL, key text NOT NULL, pid int NOT NULL);
CREATE TABLE app.handler_effect (message_id uuid NOT NULL, type text NOT NULL, order_id text NOT NULL, pid int NOT NULL);
CREATE TABLE app.published (message_id uuid NOT NULL, type text NOT NULL, order_id text NOT NULL);
CREATE TABLE app.note_key (key text PRIMARY KEY, n int NOT NULL);
CREATE TABLE app.note (key text NOT NULL, n int NOT NULL, message_id uuid NOT NULL);
CREATE TABLE app.delivery (seq bigserial PRIMARY KEY, message_id uuid NOT NULL, key text NOT NULL, type text NOT NULL, n int);
CREATE TABLE app.refusal (message_id uuid NOT NULL, pid int NOT NULL);
CREATE TABLE app.switch (name text PRIMARY KEY);
`;
