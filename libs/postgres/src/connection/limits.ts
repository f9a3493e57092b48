/**
 * How long each use of a connection may take, in milliseconds, counted here and not by the server: a
 * connection whose packets vanish (a firewall or a NAT has forgotten it, a host is cut off) answers
 * nothing and ends nothing, and the kernel waits some 15 minutes for it. A statement without an answer
 * within its limit is abandoned, its connection is closed, and it is unknown whether it was carried
 * out.
 *
 * Each limit is shorter than the times that depend on it:
 *
 * | use | what it is for | limit | what depends on it |
 * | --- | --- | --- | --- |
 * | `heartbeat` | an engine's heartbeat and its watch on others | a third of `engine.lease`, at most 5 s | the lease |
 * | `lease` | slots of relays and consumers | a third of their lease, at most 5 s | the lease |
 * | `listen` | LISTEN, and the proof that it hears | 5 s | hints; polling replaces them |
 * | `publish` | messages into the Postgres broker | 4 s | `relay.publishTimeout`, 5 s |
 * | `flush` | transitions, starts, mail, messages without a transaction | 6 s | an engine without an answer stops its heartbeat after 30 s |
 * | `locked` | the same where it waits for a lock: a start with an idempotency key in a caller's transaction, looking up what became of a transition | 15 s, after the 10 s of `lock_timeout` | the same |
 * | `work` | claims, loads, reads of queues, their changes and removals | 10 s | a consumer without progress gives up its slots after 60 s |
 * | `inbox` | what handlers' attempts are counted and ended by | 15 s | a handler's place |
 * | `health` | probes | 2 s | the probe itself answers within 3 s |
 * | `count` | metrics | 5 s | the scrape |
 * | `begin`, `rollback` | the ends of a transaction that hold nothing up, and its savepoints; those of the application's transactions as well | 5 s | its caller |
 * | `settle` | before COMMIT and ROLLBACK TO SAVEPOINT of the application, for statements that are still under way | 15 s | its caller |
 * | `commit` | COMMIT, which may wait for a synchronous standby; the application's as well | 15 s, after the limits of the statements that are sent with it | its caller |
 * | `connect` | opening a connection (`pool.connectTimeoutMs`) | 5 s | every use that needs a new one |
 * | `close` | saying goodbye | 2 s | the shutdown |
 * | `migrate` | one statement of a migration, which may build an index | 30 min | the deployment |
 *
 * Everything else (operators' lists, histories, replays, pruning, statements in a caller's transaction)
 * has the server's own limit and {@link AFTER_THE_SERVER_MS} more ({@link statementLimit}).
 */
export const LIMITS = {
  listen: 5_000,
  publish: 4_000,
  flush: 6_000,
  locked: 15_000,
  work: 10_000,
  inbox: 15_000,
  health: 2_000,
  count: 5_000,
  begin: 5_000,
  rollback: 5_000,
  settle: 15_000,
  commit: 15_000,
  close: 2_000,
  migrate: 1_800_000,
} as const;

/** A use of a connection whose limit depends on nothing that is configured. */
export type Use = keyof typeof LIMITS;

const LONGEST_BEAT_MS = 5_000;
/** Below this a third of a lease would end healthy connections of a busy machine. */
const SHORTEST_BEAT_MS = 1_000;
/** Leases of less than half a second are for tests, and a busy machine may take longer to answer. */
const FOR_TESTS_MS = 500;

/**
 * The limit for a heartbeat, or for the renewal of a lease, that must succeed before `ttlMs` have
 * passed.
 */
export function beatLimit(ttlMs: number): number {
  if (ttlMs < FOR_TESTS_MS) return SHORTEST_BEAT_MS;
  const third = Math.min(LONGEST_BEAT_MS, Math.max(SHORTEST_BEAT_MS, ttlMs / 3));
  // The limit leaves time within the lease for another try on a new connection.
  return Math.min(third, ttlMs * 0.6);
}

/**
 * How much later than the server's own limit the limit here ends, in ms, so that the server ends the
 * statement if it can.
 */
export const AFTER_THE_SERVER_MS = 5_000;
/** The limit if the server has none, in ms. */
const WITHOUT_THE_SERVER_MS = 60_000;

/** The limit of a statement whose use has none of its own. */
export function statementLimit(statementTimeoutMs: number): number {
  return statementTimeoutMs > 0 ? statementTimeoutMs + AFTER_THE_SERVER_MS : WITHOUT_THE_SERVER_MS;
}
