export const SCHEMA = 'sagaz_random';

/**
 * Rows that transactional steps wrote, by idempotency key. No constraint hides a second one: an effect
 * that happened twice has two rows.
 */
export const TRIAL_TABLES = `
CREATE SCHEMA app;
CREATE TABLE app.written (key text NOT NULL);
CREATE INDEX ON app.written (key text_pattern_ops);
`;
