import type { Broker, Clock, Message, PublishOutcome } from '../../ports/index.js';
import { settlesWithin } from '../settles-within.js';
import { TopicAwayError } from './topic-away.error.js';

/** The topics that are remembered as ready, at most; to ask once more about one costs one request. */
const MOST_READY = 10_000;

/** Why a topic is not ready; null: it is. */
type Unready = { readonly error: unknown } | null;

export interface TopicPublisherOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  /** How long the messages of a batch wait for topics that are not ready yet, in milliseconds. */
  readonly ensureMs: number;
}

/**
 * Publishes messages, those of each topic only after the broker has made the topic ready. A topic that is not
 * ready in time is away: its messages are not sent, and those of other topics are. Each topic is asked about by
 * a call of its own, so that one whose call hangs delays no other.
 */
export class TopicPublisher {
  readonly #options: TopicPublisherOptions;
  readonly #ready = new Set<string>();
  /** The calls under way, at most one for each topic; they never reject. */
  readonly #asked = new Map<string, Promise<Unready>>();

  constructor(options: TopicPublisherOptions) {
    this.#options = options;
  }

  /** One outcome for each message, in order. @throws Error if the broker answers with fewer or more */
  async publish(
    messages: readonly Message[],
    deadline: number,
  ): Promise<readonly PublishOutcome[]> {
    const { broker, clock } = this.#options;
    const topics = new Set(messages.map(({ topic }) => topic));
    const asked = [...topics].filter((topic) => !this.#ready.has(topic));
    const away = asked.length === 0 ? NONE_AWAY : await this.#awayAmong(asked);
    // The wait may have outlasted the right to publish these messages.
    if (asked.length > 0 && clock.now() >= deadline) {
      return messages.map(() => ({ kind: 'expired' }));
    }
    const sent = away.size === 0 ? messages : messages.filter(({ topic }) => !away.has(topic));
    const answers = sent.length === 0 ? [] : await broker.publish(sent, deadline);
    if (answers.length !== sent.length) {
      throw new Error(
        `The broker answered ${answers.length} outcomes for ${sent.length} messages.`,
      );
    }
    sent.forEach(({ topic }, at) => {
      // It may have been removed since it was made ready.
      if (answers[at]?.kind === 'unavailable') this.#ready.delete(topic);
    });
    if (away.size === 0) return answers;
    const rest = answers.values();
    return messages.map(({ topic }): PublishOutcome => {
      const unready = away.get(topic);
      if (unready !== undefined) return { kind: 'unavailable', error: unready.error };
      const next = rest.next();
      return next.done === true ? { kind: 'expired' } : next.value;
    });
  }

  /** Those of the topics that are not ready in time. */
  async #awayAmong(topics: readonly string[]): Promise<ReadonlyMap<string, { error: unknown }>> {
    const { broker, clock, ensureMs } = this.#options;
    const away = new Map<string, { error: unknown }>();
    await Promise.all(
      topics.map(async (topic) => {
        const answer = this.#ask(topic);
        const unready = (await settlesWithin(answer, clock, ensureMs))
          ? await answer
          : {
              error: new TopicAwayError(
                topic,
                broker.name,
                new Error(`no answer within ${ensureMs} ms`),
              ),
            };
        if (unready !== null) away.set(topic, unready);
      }),
    );
    return away;
  }

  #ask(topic: string): Promise<Unready> {
    const asked = this.#asked.get(topic);
    if (asked !== undefined) return asked;
    const answer = this.#ensure(topic).finally(() => this.#asked.delete(topic));
    this.#asked.set(topic, answer);
    return answer;
  }

  async #ensure(topic: string): Promise<Unready> {
    const { broker } = this.#options;
    try {
      const [problem] = await broker.ensure([topic]);
      if (problem !== undefined) {
        return { error: new TopicAwayError(topic, broker.name, problem.error) };
      }
    } catch (error) {
      // The broker could not be asked at all, which says nothing about the topic.
      return { error };
    }
    if (this.#ready.size >= MOST_READY) this.#ready.clear();
    this.#ready.add(topic);
    return null;
  }
}

const NONE_AWAY: ReadonlyMap<string, { error: unknown }> = new Map();
