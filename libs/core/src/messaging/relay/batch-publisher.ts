import { errorText } from '../../errors/index.js';
import type {
  Broker,
  Clock,
  FaultPoints,
  Logger,
  Message,
  PublishOutcome,
} from '../../ports/index.js';
import { Backoff, type SlotWork, type TakenRow, type WorkSource } from '../slots/index.js';
import { settlesWithin } from '../settles-within.js';
import { judge, type Judgement } from './judgement.js';
import { RefusedAlone } from './refused-alone.js';
import type { RelayObserver } from './relay-observer.js';
import type { RelaySettings } from './relay-settings.js';
import { TopicPublisher } from './topic-publisher.js';
import { UnansweredPublishes } from './unanswered-publishes.js';

/**
 * How long the messages of a publish that timed out wait for its answer, as a multiple of
 * `publishTimeoutMs`.
 */
const HELD_TIMEOUTS = 6;
/**
 * After this many batches in a row of which a topic took nothing, fewer messages of it are sent at a
 * time.
 */
const REFUSALS_TO_DIVIDE = 3;

export interface BatchPublisherOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly faults: FaultPoints;
  readonly settings: RelaySettings;
  readonly observer: RelayObserver;
  /** Makes the message that is published from the one in the outbox; it adds the signature. */
  readonly outgoing: (message: Message) => Message;
  /** Makes the outcome of a message that is given up. */
  readonly bury: Judgement['bury'];
}

/**
 * Gives batches to a broker and settles each message by its own outcome. At most `concurrentBatches`
 * are under way, of different keys; a publish that is not answered in time no longer counts as under
 * way, but its keys stay held.
 */
export class BatchPublisher implements SlotWork {
  readonly buffer: number;
  readonly patienceMs: number;
  readonly #options: BatchPublisherOptions;
  readonly #pause: Backoff;
  readonly #topicPauses = new Map<string, Backoff>();
  #source: WorkSource | undefined;
  #publishing = 0;
  readonly #unanswered: UnansweredPublishes;
  readonly #refusedAlone = new RefusedAlone();
  readonly #topics: TopicPublisher;
  #paused = false;
  #pauseReason: unknown = null;
  /** How many batches in a row the broker took nothing of, for all their topics. */
  #refusals = 0;
  #stopped = false;

  constructor(options: BatchPublisherOptions) {
    this.#options = options;
    this.buffer = 2 * options.settings.batchSize;
    // The relay may wait for a broker that is away, so it counts as stuck only if it neither publishes
    // nor waits for this long.
    this.patienceMs = 4 * (options.settings.maxPauseMs + options.settings.publishTimeoutMs);
    this.#unanswered = new UnansweredPublishes(options.clock);
    this.#pause = new Backoff(options.clock, 100, options.settings.maxPauseMs);
    const { broker, clock, settings } = options;
    this.#topics = new TopicPublisher({
      broker,
      clock,
      ensureMs: settings.publishTimeoutMs / 2,
    });
  }

  attach(source: WorkSource): void {
    this.#source = source;
  }

  wake(): void {
    const { settings, broker } = this.#options;
    while (this.#source !== undefined && this.#mayPublish()) {
      const perKey = broker.orderedBatches ? Infinity : 1;
      const { batchSize, batchBytes, publishTimeoutMs } = settings;
      const rows = this.#source.take(batchSize, perKey, publishTimeoutMs, batchBytes);
      if (rows.length === 0) return;
      this.#source.progressed();
      this.#publishing += 1;
      void this.#work(this.#source, rows);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  problem(): string | null {
    const { broker, settings } = this.#options;
    if (this.#unanswered.isFull) {
      return `The broker ${broker.name} has left so many publishes unanswered that the relay sends it nothing more. Restart the process: its connection to the broker does not recover.`;
    }
    if (this.#unanswered.hangsFor(settings.publishTimeoutMs)) {
      return `The broker ${broker.name} has not answered a publish for more than ${2 * settings.publishTimeoutMs} ms; the messages of its keys wait. Restart the process if this lasts.`;
    }
    if (this.#paused || this.#refusals > 1) {
      return `The broker ${broker.name} takes nothing: ${errorText(this.#pauseReason)}`;
    }
    return null;
  }

  #mayPublish(): boolean {
    return (
      !this.#stopped &&
      !this.#paused &&
      this.#publishing < this.#options.settings.concurrentBatches &&
      this.#unanswered.leavesRoom
    );
  }

  async #work(source: WorkSource, taken: readonly TakenRow[]): Promise<void> {
    const { clock, faults, settings, observer } = this.#options;
    const { live, rest } = this.#setAside(source, taken);
    try {
      await faults.reach('relay.before-publish', live[0]?.row.message.id);
    } catch (error) {
      this.#again([...live, ...rest], source);
      this.#finish(source, error);
      return;
    }
    // A blocked event loop, or a wait at a fault point, may have used up the lease.
    const rows = live.filter((row) => source.trusts(row, settings.publishTimeoutMs));
    if (rows.length < live.length) {
      this.#again([...live, ...rest], source);
      this.#finish(source);
      return;
    }
    if (rows.length === 0) {
      this.#again(rest, source);
      this.#finish(source);
      return;
    }
    const began = clock.now();
    const deadline = Math.min(...rows.map((row) => source.trustedUntil(row)));
    const answer = this.#publish(rows, deadline);
    if (!(await settlesWithin(answer, clock, settings.publishTimeoutMs))) {
      observer.timedOut?.(rows.length);
      this.#publishing -= 1;
      this.#pauseAll(new Error(`No answer within ${settings.publishTimeoutMs} ms.`));
      await this.#hang(source, { rows, rest, answer, began });
      return;
    }
    const outcomes = await answer;
    await Promise.resolve(faults.reach('relay.after-publish', rows[0]?.row.message.id)).catch(
      (error: unknown) => this.#log('A fault point failed after a publish.', error),
    );
    this.#settle(source, rows, outcomes, clock.now() - began);
    this.#again(rest, source);
    this.#finish(source);
  }

  /**
   * Keeps the messages of a publish without an answer, whose outcome is unknown. Their keys stay held
   * until the broker's client answers, or for a bounded time. Then the messages are sent again from the
   * first of each key on, so that messages of the first try which the client still delivers arrive as
   * duplicates in order.
   */
  async #hang(
    source: WorkSource,
    {
      rows,
      rest,
      answer,
      began,
    }: {
      readonly rows: readonly TakenRow[];
      readonly rest: readonly TakenRow[];
      readonly answer: Promise<readonly PublishOutcome[]>;
      readonly began: number;
    },
  ): Promise<void> {
    const { clock, settings } = this.#options;
    const unanswered = this.#unanswered.add(rows);
    void answer.then(() => {
      unanswered.settled();
      this.wake();
    });
    const heldMs = HELD_TIMEOUTS * settings.publishTimeoutMs;
    const settled = await settlesWithin(answer, clock, heldMs);
    unanswered.givenUp();
    const error = new Error(`No answer within ${settings.publishTimeoutMs + heldMs} ms.`);
    const outcomes = settled
      ? await answer
      : rows.map((): PublishOutcome => ({ kind: 'unknown', error }));
    this.#settle(source, rows, outcomes, clock.now() - began);
    this.#again(rest, source);
    source.progressed();
    this.wake();
  }

  #finish(source: WorkSource, error?: unknown): void {
    if (error !== undefined) this.#pauseAll(error);
    this.#publishing -= 1;
    source.progressed();
    this.wake();
  }

  /**
   * Gives up a message that has used up its attempts in processes that died, before it is sent once
   * more; the later messages of its key wait for that.
   */
  #setAside(
    source: WorkSource,
    taken: readonly TakenRow[],
  ): { readonly live: readonly TakenRow[]; readonly rest: readonly TakenRow[] } {
    const { attempts } = this.#options.settings.retry;
    if (!taken.some((row) => row.row.attempts >= attempts)) return { live: taken, rest: [] };
    const live: TakenRow[] = [];
    const rest: TakenRow[] = [];
    const dying = new Set<TakenRow['line']>();
    for (const row of taken) {
      if (dying.has(row.line)) {
        rest.push(row);
      } else if (row.row.attempts >= attempts) {
        dying.add(row.line);
        source.settle(
          row,
          this.#options.bury(row.row, 'attempts_exhausted', 'It was given up.', false),
        );
      } else {
        live.push(row);
      }
    }
    return { live, rest };
  }

  async #publish(rows: readonly TakenRow[], deadline: number): Promise<readonly PublishOutcome[]> {
    const { outgoing } = this.#options;
    try {
      const messages = rows.map((taken) => outgoing(taken.row.message));
      return await this.#topics.publish(messages, deadline);
    } catch (error) {
      return rows.map(() => ({ kind: 'unknown', error }));
    }
  }

  #settle(
    source: WorkSource,
    rows: readonly TakenRow[],
    outcomes: readonly PublishOutcome[],
    tookMs: number,
  ): void {
    const { settings, observer, bury } = this.#options;
    const acknowledged = outcomes.reduce(
      (sum, { kind }) => sum + (kind === 'acknowledged' ? 1 : 0),
      0,
    );
    if (acknowledged > 0) {
      this.#pause.reset();
      this.#refusals = 0;
    }
    const expired = outcomes.filter(({ kind }) => kind === 'expired').length;
    if (expired > 0) {
      this.#options.logger.warn(
        'Messages were not published, because the lease of their slots could have ended before they were sent: this process stood still, or waited for a connection. They are published later, by whichever relay has their slots then.',
        { broker: this.#options.broker.name, messages: expired },
      );
    }
    rows.forEach(({ row: { message } }, at) => {
      const kind = outcomes[at]?.kind;
      if (kind === 'unavailable' || kind === 'expired') return;
      this.#refusedAlone.forget(message);
      if (kind === 'acknowledged') this.#refusedAlone.topicTook(message.topic);
    });
    observer.published?.(acknowledged, rows.length, tookMs);
    const away = judge(rows, outcomes, {
      retry: settings.retry,
      bury,
      settle: (row, outcome) => source.settle(row, outcome),
      untaken: (row, alone) =>
        this.#refusedAlone.refused(row.row.message, this.#options.clock.now(), alone),
      divides: (topic) =>
        Math.max(this.#refusals, this.#topicPauses.get(topic)?.failures ?? 0) >= REFUSALS_TO_DIVIDE,
      failed: (row, outcome, error) => {
        const { message, attempts } = row.row;
        observer.failed?.(message, attempts + 1, outcome, error);
      },
    });
    if (away === null) {
      if (this.#topicPauses.size > 0 && acknowledged > 0) {
        for (const row of rows) this.#topicPauses.delete(row.row.message.topic);
      }
      return;
    }
    if (away.all) {
      this.#refusals += 1;
      this.#pauseReason = away.error;
    }
    // A failed batch of one topic says nothing about other topics, which must not be delayed by it.
    if (away.all && away.topics.size > 1) this.#pauseAll(away.error);
    else for (const topic of away.topics) this.#pauseTopic(source, topic, away.error);
  }

  #again(rows: readonly TakenRow[], source: WorkSource): void {
    for (const row of rows) source.settle(row, { kind: 'again' });
  }

  #pauseAll(error: unknown): void {
    if (this.#paused) return;
    const ms = this.#pause.next();
    this.#paused = true;
    this.#pauseReason = error;
    this.#options.observer.paused?.(null, ms, error);
    this.#log(
      'The broker takes no messages; the relay waits and tries again. No attempt is counted.',
      error,
    );
    this.#options.clock.after(ms, () => {
      this.#paused = false;
      this.#source?.progressed();
      this.wake();
    });
  }

  #pauseTopic(source: WorkSource, topic: string, error: unknown): void {
    const known = this.#topicPauses.get(topic);
    const backoff =
      known ?? new Backoff(this.#options.clock, 100, this.#options.settings.maxPauseMs);
    if (known === undefined) this.#topicPauses.set(topic, backoff);
    const ms = backoff.next();
    this.#options.observer.paused?.(topic, ms, error);
    this.#log(
      `The broker takes no messages for the topic "${topic}"; the relay pauses the topic and tries again. No attempt is counted.`,
      error,
    );
    source.pauseTopic(topic, ms);
  }

  #log(message: string, error: unknown): void {
    this.#options.logger.warn(message, {
      broker: this.#options.broker.name,
      error: errorText(error),
    });
  }
}
