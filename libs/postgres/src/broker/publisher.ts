import { keyTooLong, placeOfKey, type Clock, type Message, type PublishOutcome } from '@sagaz/core';
import {
  isDataError,
  limited,
  LIMITS,
  Prepared,
  sqlState,
  type PooledClient,
  type SagazPool,
  type SchemaName,
  type Statement,
} from '../connection/index.js';
import { messageArrays, messageValues, slotsOf } from '../slots/index.js';
import { missingGrant } from './grants.js';
import type { Announcement, Announcements } from './announcements.js';

const PROGRAM_LIMIT_EXCEEDED = '54000';

/** A message was not sent, because the one before it in its key was not taken. */
class BehindAnotherError extends Error {
  override readonly name = 'BehindAnotherError';
}

type Attempt =
  | {
      readonly kind: 'written';
      readonly groups: readonly string[];
      readonly announced: Announcement | null;
    }
  /** The data of a message was refused; a part of the batch may succeed. */
  | { readonly kind: 'refused'; readonly error: unknown }
  /**
   * The role may not publish to one of the topics; a part of the batch with other topics may succeed.
   */
  | { readonly kind: 'forbidden'; readonly error: unknown }
  /** The deadline had passed before the statement was sent. */
  | { readonly kind: 'expired' }
  /** The transaction was rolled back, or never begun. */
  | { readonly kind: 'unavailable'; readonly error: unknown }
  | { readonly kind: 'unknown'; readonly error: unknown };

const ACKNOWLEDGED: PublishOutcome = { kind: 'acknowledged' };

/** Writes batches of messages, each in one transaction of one statement. */
export class Publisher {
  readonly #pool: SagazPool;
  readonly #many: Prepared;
  readonly #one: Prepared;
  readonly #announcements: Announcements;
  readonly #clock: Clock;
  #underWay = 0;

  constructor(pool: SagazPool, schema: SchemaName, announcements: Announcements, clock: Clock) {
    this.#pool = pool;
    // Read as JSON, because arrays of the database are read as text.
    this.#many = new Prepared(`SELECT to_json(${schema.quoted}.publish(${PARAMETERS})) AS groups`);
    this.#one = new Prepared(
      `SELECT to_json(${schema.quoted}.publish_one(${PARAMETERS})) AS groups`,
    );
    this.#announcements = announcements;
    this.#clock = clock;
  }

  /** @param deadline - see `Broker.publish`; by the clock that this publisher was given */
  async publish(
    batch: readonly Message[],
    deadline = Infinity,
  ): Promise<readonly PublishOutcome[]> {
    const outcomes: PublishOutcome[] = [];
    this.#underWay += 1;
    try {
      await this.#publish(batch, outcomes, { stopped: new Set(), deadline });
    } finally {
      this.#underWay -= 1;
    }
    return outcomes;
  }

  /**
   * Publishes all messages or none. If the data of one message is refused, the batch is halved until
   * that message is alone. The messages behind it in its key are not sent, because they would overtake
   * it.
   */
  async #publish(
    batch: readonly Message[],
    outcomes: PublishOutcome[],
    run: { readonly stopped: Set<string>; readonly deadline: number },
  ): Promise<void> {
    const { stopped, deadline } = run;
    const sent = stopped.size === 0 ? batch : batch.filter((m) => !stopped.has(keyOf(m)));
    // Two announced transactions at a time would wait for each other's commit.
    const announced = this.#underWay > 1 ? null : this.#announcements.of(sent);
    const began = this.#clock.now();
    let attempt = await this.#write(sent, announced, deadline);
    if (announced !== null) {
      this.#announcements.took(this.#clock.now() - began);
      // The queue of notifications is full, perhaps because a listener does not read. The messages are
      // written again without a notification.
      if ('error' in attempt && isFullQueue(attempt.error)) {
        attempt = await this.#write(sent, null, deadline);
      }
    }
    const divisible =
      attempt.kind === 'forbidden'
        ? new Set(sent.map(({ topic }) => topic)).size > 1
        : attempt.kind === 'refused' && sent.length > 1;
    if (divisible) {
      const middle = Math.ceil(batch.length / 2);
      await this.#publish(batch.slice(0, middle), outcomes, run);
      await this.#publish(batch.slice(middle), outcomes, run);
      return;
    }
    if (attempt.kind === 'written' && attempt.groups.length > 0) {
      this.#announcements.committed(attempt.groups, sent, attempt.announced);
    }
    const outcome = outcomeOf(attempt);
    const taken = new Set(sent);
    for (const message of batch) outcomes.push(taken.has(message) ? outcome : behind());
    if (attempt.kind !== 'written') for (const message of sent) stopped.add(keyOf(message));
  }

  #statement(batch: readonly Message[], announced: Announcement | null): Statement {
    const said = [announced?.channel ?? null, announced?.payloads ?? []];
    const locks = topicLocks(batch.map((message) => message.topic));
    const slots = slotsOf(batch);
    const [only] = batch;
    return batch.length === 1 && only !== undefined
      ? this.#one.with([locks[0], slots[0], ...messageValues(only), ...said])
      : this.#many.with([locks, slots, ...messageArrays(batch), ...said]);
  }

  async #write(
    batch: readonly Message[],
    announced: Announcement | null,
    deadline: number,
  ): Promise<Attempt> {
    if (batch.length === 0) return { kind: 'written', groups: [], announced: null };
    const error = firstTooLong(batch);
    if (error !== null) return { kind: 'refused', error };
    let client: PooledClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      return { kind: 'unavailable', error };
    }
    try {
      const statement = this.#statement(batch, announced);
      // The wait for the connection, or a stop of the process, may have outlasted the right to publish:
      // another relay may have given a message up and published the next one of its key.
      if (this.#clock.now() >= deadline) {
        client.release();
        return { kind: 'expired' };
      }
      const { rows } = await limited(client, LIMITS.publish).query<{ groups: string[] }>(statement);
      client.release();
      return { kind: 'written', groups: rows[0]?.groups ?? [], announced };
    } catch (error) {
      const answered = isAnswer(error);
      client.release(!answered);
      if (!answered) return { kind: 'unknown', error };
      const missing = missingGrant(error);
      if (missing !== null) return { kind: 'forbidden', error: missing };
      return { kind: isDataError(error) ? 'refused' : 'unavailable', error };
    }
  }
}

const PARAMETERS = Array.from({ length: 14 }, (_, at) => `$${String(at + 1)}`).join(', ');

function firstTooLong(batch: readonly Message[]): unknown {
  for (const message of batch) {
    const error = keyTooLong(message);
    if (error !== null) return error;
  }
  return null;
}

/** The locks of topics, in the order in which every transaction takes them. */
export function topicLocks(topics: readonly string[]): number[] {
  const locks = new Set(Array.from(new Set(topics), (topic) => placeOfKey('', topic, '').lock));
  return [...locks].sort((a, b) => a - b);
}

function outcomeOf(attempt: Attempt): PublishOutcome {
  switch (attempt.kind) {
    case 'written':
      return ACKNOWLEDGED;
    case 'refused':
      return { kind: 'rejected', error: attempt.error };
    // The message itself is valid; it waits for the grant.
    case 'forbidden':
      return { kind: 'unavailable', error: attempt.error };
    case 'expired':
      return { kind: 'expired' };
    case 'unavailable':
    case 'unknown':
      return { kind: attempt.kind, error: attempt.error };
  }
}

/**
 * Whether the server reported an ERROR, so that the transaction is rolled back. After FATAL or no
 * answer its outcome is unknown.
 */
function isAnswer(error: unknown): boolean {
  return (
    sqlState(error) !== undefined &&
    typeof error === 'object' &&
    error !== null &&
    'severity' in error &&
    error.severity === 'ERROR'
  );
}

/** Whether the server's queue of notifications is full, so that the transaction was rolled back. */
function isFullQueue(error: unknown): boolean {
  return sqlState(error) === PROGRAM_LIMIT_EXCEEDED;
}

function keyOf(message: Message): string {
  return JSON.stringify([message.tenant, message.topic, message.key]);
}

function behind(): PublishOutcome {
  const error = new BehindAnotherError('Not sent: the message before it in its key was not taken.');
  return { kind: 'unavailable', error };
}
