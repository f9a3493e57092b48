import { Inject, Injectable } from '@nestjs/common';
import {
  inboxKeyOf,
  type DeadLetterFilter,
  type DeadLetterOutcome,
  type InboxKey,
} from '@sagaz/core';
import { Connections, type Connection } from '../enlist/index.js';
import { contentOf } from './content-of.js';
import { reportOf, type DeadLetterRef, type DeadLetterReport } from './dead-letter-report.js';
import { checkRefs, cursorOf, placeOf, sideArgument } from './letter-arguments.js';

type Outcomes = readonly DeadLetterOutcome[];

/** A message that was given up, with the reason. */
export interface DeadLetter {
  readonly ref: DeadLetterRef;
  /**
   * The position of this dead letter in the list: give it as `after` to the next call of {@link
   * DeadLetters.list}.
   */
  readonly cursor: string;
  /** The consumer group that gave it up; null: it never reached the broker. */
  readonly group: string | null;
  readonly messageId: string;
  readonly tenant: string;
  readonly topic: string;
  readonly key: string;
  readonly type: string;
  readonly attempts: number;
  readonly reason: string;
  readonly error: string;
  readonly diedAt: Date;
  readonly contentType: string;
  /** The bytes as they came. */
  readonly payload: Uint8Array;
  /**
   * The payload for people to read: the decoded value of JSON, or the text; null if it is neither, or
   * damaged.
   */
  readonly content: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

/** The filter of {@link DeadLetters.list}. A property that is left out does not limit the list. */
export interface ListDeadLettersOptions extends DeadLetterFilter {
  /** `outbox`: the broker never took them. `inbox`: handlers gave them up. */
  readonly side: 'outbox' | 'inbox';
  /** Default: the main connection. */
  readonly connection?: string;
}

/** Lists messages that were given up, and lets a person replay or discard them. */
@Injectable()
export class DeadLetters {
  constructor(@Inject(Connections) private readonly connections: Connections) {}

  /**
   * Lists dead letters of the outbox or the inbox in the order of their numbers, which they got when they
   * were written to the outbox or landed. So a letter can appear before a place that was listed earlier.
   *
   * @throws InvalidArgumentError
   */
  async list({
    side,
    connection: name,
    ...filter
  }: ListDeadLettersOptions): Promise<readonly DeadLetter[]> {
    sideArgument('DeadLetters.list', 'side', side);
    const connection = name === undefined ? this.connections.main : this.connections.get(name);
    const { after, ...rest } = filter;
    const own = after === undefined ? rest : { ...rest, after: placeOf(side, after) };
    return side === 'outbox' ? outboxLetters(connection, own) : inboxLetters(connection, own);
  }

  /**
   * Has dead letters published (outbox) or handled (inbox) again, in the order of their key as far as
   * that is still possible. The report says for each whether it was replayed. If the call throws,
   * because a database is away, a part may have been replayed; another call replays the rest.
   *
   * @param refs at most 1,000
   * @throws InvalidArgumentError
   */
  async replay(refs: readonly DeadLetterRef[]): Promise<DeadLetterReport> {
    return this.#each(
      'DeadLetters.replay',
      refs,
      ({ store }, ids) => store.outbox.replayDeadLetters(ids),
      ({ store }, keys) => store.inbox.replayDeadLetters(keys),
    );
  }

  /**
   * Removes dead letters for good. The report says for each whether it was removed; one that was
   * replayed and has not been handled yet, or that is locked, is left as `busy`. If the call throws, because a
   * database is away, a part may have been discarded; another call discards the rest.
   *
   * @param refs at most 1,000
   * @throws InvalidArgumentError
   */
  async discard(refs: readonly DeadLetterRef[]): Promise<DeadLetterReport> {
    return this.#each(
      'DeadLetters.discard',
      refs,
      ({ store }, ids) => store.outbox.discardDeadLetters(ids),
      ({ store }, keys) => store.inbox.discardDeadLetters(keys),
    );
  }

  async #each(
    call: string,
    refs: readonly DeadLetterRef[],
    outbox: (connection: Connection, ids: readonly string[]) => Promise<Outcomes>,
    inbox: (connection: Connection, keys: readonly InboxKey[]) => Promise<Outcomes>,
  ): Promise<DeadLetterReport> {
    checkRefs(call, refs);
    const outcomes = new Map<DeadLetterRef, DeadLetterOutcome>();
    const note = (asked: readonly DeadLetterRef[], said: Outcomes): void => {
      for (const [at, ref] of asked.entries()) outcomes.set(ref, said[at] ?? 'unknown');
    };
    // All names of connections are looked up first, so that a wrong one does not leave half of the work
    // done.
    const names = new Set(refs.map((ref) => ref.connection));
    for (const connection of [...names].map((name) => this.connections.get(name))) {
      const here = refs.filter((ref) => ref.connection === connection.name);
      const sent = here.filter((ref) => ref.side === 'outbox');
      const ids = sent.map(({ id }) => id);
      if (ids.length > 0) note(sent, await outbox(connection, ids));
      const received = here.filter((ref) => ref.side === 'inbox');
      const keys = received.map(({ key }) => key);
      if (keys.length > 0) note(received, await inbox(connection, keys));
    }
    return reportOf(refs, outcomes);
  }
}

async function outboxLetters(
  { name, store }: Connection,
  filter: DeadLetterFilter,
): Promise<readonly DeadLetter[]> {
  const letters = await store.outbox.listDeadLetters(filter);
  return letters.map(({ id, cursor, ...letter }) => ({
    ...letter,
    cursor: cursorOf('outbox', cursor),
    ref: { side: 'outbox', connection: name, id },
    group: null,
    messageId: id,
    content: contentOf(letter),
  }));
}

async function inboxLetters(
  { name, store }: Connection,
  filter: DeadLetterFilter,
): Promise<readonly DeadLetter[]> {
  const letters = await store.inbox.listDeadLetters(filter);
  return letters.map(({ cursor, group, message, attempts, reason, error, diedAt }) => ({
    ref: { side: 'inbox', connection: name, key: inboxKeyOf(group, message) },
    cursor: cursorOf('inbox', cursor),
    group,
    messageId: message.id,
    tenant: message.tenant,
    topic: message.topic,
    key: message.key,
    type: message.type,
    attempts,
    reason,
    error,
    diedAt,
    contentType: message.contentType,
    payload: message.payload,
    content: contentOf(message),
    headers: message.headers,
  }));
}
