import { errorText } from '../../errors/index.js';
import { noFaults, type Delivery, type DeliveryOutcome, type InboxKey } from '../../ports/index.js';
import { delayOf, type RetryPolicy } from '../../retry/index.js';
import { HandlerCrashedError, HandlerNotReachedError, SuspectWaitError } from './errors.js';
import { Expiry } from './expiry.js';
import { failureOf } from './failure.js';
import { InboxAttempt, type AttemptTools } from './inbox-attempt.js';
import { InboxBookkeeping, type Subject } from './inbox-bookkeeping.js';
import type {
  BurialReason,
  InboxHandler,
  InboxOutcome,
  InboxProcessorOptions,
} from './inbox.types.js';
import { inboxKeyOf, partOf, partOfMalformed, roleOf, type MessagePart } from './message-role.js';
import { Suspects } from './suspects.js';

const WAIT_MS = 1_000;
const DAY_MS = 86_400_000;
const MAX_CRASHES = 3;
/** A suspect waits this long for its turn; then it is put off, and is no suspect any more. */
const SUSPECT_WAIT_MS = 30_000;
/**
 * Delays of what is not counted: a row somebody else works on, a lost race, an absent database. Not
 * the handler's own policy, whose first delay may be an hour.
 */
const PUT_OFF: RetryPolicy = {
  attempts: Number.POSITIVE_INFINITY,
  backoffMs: 200,
  factor: 2,
  maxDelayMs: 5_000,
  jitter: 0.5,
};
const DONE: DeliveryOutcome = { kind: 'done' };

/**
 * Handles deliveries so that a message's effects happen once for its group.
 *
 * For each delivery, in this order: a duplicate of one that runs in this process joins it, without a
 * connection; an expired command is answered and ended; the caller's pipeline runs, and in it the
 * handler's transaction ({@link InboxAttempt.run}); the recorded end is settled: acknowledge, put
 * off, or give up. Only a proven end is ever acknowledged.
 */
export class InboxProcessor {
  readonly #options: InboxProcessorOptions;
  readonly #bookkeeping: InboxBookkeeping;
  readonly #expiry: Expiry;
  readonly #tools: AttemptTools;
  readonly #suspects = new Suspects();
  readonly #running = new Map<string, Promise<DeliveryOutcome>>();
  readonly #keepMs: number;
  readonly #maxCrashes: number;

  constructor(options: InboxProcessorOptions) {
    const { inbox, outbox, transactions, service, clock } = options;
    const waitMs = options.waitMs ?? WAIT_MS;
    this.#options = options;
    this.#keepMs = options.keepParticipantsMs ?? 30 * DAY_MS;
    this.#maxCrashes = options.maxCrashes ?? MAX_CRASHES;
    this.#expiry = new Expiry(inbox, clock);
    this.#bookkeeping = new InboxBookkeeping({
      inbox,
      outbox,
      transactions,
      service,
      clock,
      waitMs,
    });
    this.#tools = {
      inbox,
      bookkeeping: this.#bookkeeping,
      service,
      clock,
      faults: options.faults ?? noFaults,
      waitMs,
    };
  }

  /**
   * Handles one delivery. `invoke` runs the pipeline around the handler and must call
   * `attempt.run(unit, handler)` in it. Never rejects.
   */
  async receive(
    delivery: Delivery,
    handler: InboxHandler,
    invoke: (attempt: InboxAttempt) => Promise<unknown>,
  ): Promise<DeliveryOutcome> {
    const key = inboxKeyOf(handler.group, delivery.message);
    const name = JSON.stringify([key.tenant, key.group, key.source, key.id]);
    const running = this.#running.get(name);
    if (running !== undefined) {
      const began = this.#options.clock.now();
      const outcome = await running;
      if (outcome.kind === 'done') {
        this.#observe(delivery, handler, { kind: 'duplicate' }, began);
      }
      return outcome;
    }
    const work = this.#receive(delivery, handler, invoke, name);
    this.#running.set(name, work);
    try {
      return await work;
    } finally {
      this.#running.delete(name);
    }
  }

  async #receive(
    delivery: Delivery,
    handler: InboxHandler,
    invoke: (attempt: InboxAttempt) => Promise<unknown>,
    name: string,
  ): Promise<DeliveryOutcome> {
    const began = this.#options.clock.now();
    const key = inboxKeyOf(handler.group, delivery.message);
    let outcome: InboxOutcome;
    try {
      const doubt = await this.#doubt(delivery, key, name);
      const noted = doubt !== 'none';
      const handle = (): Promise<InboxOutcome> =>
        this.#handle(delivery, handler, invoke, { key, name, noted });
      outcome =
        doubt === 'alone'
          ? ((await this.#suspects.alone(handle, this.#options.clock, SUSPECT_WAIT_MS)) ??
            this.#putOff(name, new SuspectWaitError(delivery.message.type)))
          : await handle();
    } catch (error) {
      // The bookkeeping itself failed: nothing is known to be done, so nothing is acknowledged.
      outcome = this.#putOff(name, error);
    }
    if (outcome.kind === 'retry') this.#suspects.noteRetry(name, outcome.counted);
    else this.#suspects.forget(name);
    this.#observe(delivery, handler, outcome, began);
    return outcome.kind === 'retry'
      ? { kind: 'retry', delayMs: outcome.delayMs, error: outcome.error }
      : DONE;
  }

  /**
   * Whether a process may have died of it. `alone`: it was delivered before, to an end neither this
   * process nor the database knows of; what merely failed has a noted failure for each of its
   * deliveries. `noted`: it lay in the queue of a process that died, as everything there did. So it
   * is not made to wait for the others, but should this process die too, its start is on record.
   */
  async #doubt(
    { attempt, afterDeath = false }: Delivery,
    key: InboxKey,
    name: string,
  ): Promise<'none' | 'noted' | 'alone'> {
    if (attempt <= 1 && !afterDeath) return 'none';
    if (this.#suspects.retriesOf(name) !== null) return 'none';
    const { failures, starts } = await this.#options.inbox.readAttempts(key);
    if (attempt - 1 > failures) return 'alone';
    if (!afterDeath) return 'none';
    return starts > 0 ? 'alone' : 'noted';
  }

  async #handle(
    delivery: Delivery,
    handler: InboxHandler,
    invoke: (attempt: InboxAttempt) => Promise<unknown>,
    about: { readonly key: Subject['key']; readonly name: string; readonly noted: boolean },
  ): Promise<InboxOutcome> {
    const { message, signal } = delivery;
    const { key, name, noted } = about;
    if (signal.aborted) return this.#putOff(name, signal.reason);
    let part: MessagePart;
    try {
      part = partOf(message);
    } catch (error) {
      const subject: Subject = { key, message, part: partOfMalformed(message), keepMs: 0 };
      return this.#bookkeeping.bury(subject, { reason: 'malformed', attempts: 0, error });
    }
    let keepMs = this.#keepMs;
    if (part.role === 'command' && part.expiresAt !== null) {
      const left = await this.#expiry.remainingMs(part.expiresAt);
      if (left <= 0) return this.#bookkeeping.expire({ key, message, part, keepMs });
      // A dead letter that is replayed on the last day of its life must still find the mark.
      keepMs = Math.max(keepMs, left + DAY_MS);
    }
    const subject: Subject = { key, message, part, keepMs };
    if (noted) {
      const { failures, starts } = await this.#options.inbox.noteStart(key);
      // The first death was not noted: who could know? So as many have died as have begun by now.
      if (starts >= this.#maxCrashes) {
        return this.#bookkeeping.bury(subject, {
          reason: 'crashed',
          attempts: failures + starts,
          error: new HandlerCrashedError(message.type, starts),
        });
      }
    }
    const attempt = new InboxAttempt(subject, delivery, handler, this.#tools);
    let thrown: { readonly error: unknown } | null = null;
    try {
      await invoke(attempt);
    } catch (error) {
      thrown = { error };
    }
    await attempt.settled();
    const result = attempt.result;
    if (result?.kind === 'ended') return result.outcome;
    if (result !== null) return this.#failed(subject, handler, name, noted, result.error);
    if (thrown === null) {
      const error = new HandlerNotReachedError(message.type, handler.group);
      return this.#failed(subject, handler, name, noted, error);
    }
    // A guard said no, or an outer interceptor threw. Only an absent database may pass by itself.
    const failure = failureOf(thrown.error);
    if (failure === 'unavailable' || failure === 'conflict') {
      return this.#failed(subject, handler, name, noted, thrown.error);
    }
    return this.#bookkeeping.bury(subject, {
      reason: 'rejected',
      attempts: 1,
      error: thrown.error,
    });
  }

  /** Judges an attempt that failed. */
  async #failed(
    subject: Subject,
    handler: InboxHandler,
    name: string,
    noted: boolean,
    error: unknown,
  ): Promise<InboxOutcome> {
    const { inbox } = this.#options;
    switch (failureOf(error)) {
      case 'conflict':
      case 'busy':
      case 'unknown':
      case 'unavailable':
        if (noted) await inbox.noteEnd(subject.key, 'uncounted');
        return this.#putOff(name, error);
      case 'final':
        return this.#bury(subject, 'final', error);
      case 'refusal':
      case 'retryable': {
        // Counted by the database, which forgets nothing when this process dies, and only by it:
        // while it is away no attempt is used up.
        const { failures } = await inbox.noteEnd(subject.key, 'failed');
        if (failures >= handler.retry.attempts) {
          return this.#bury(subject, 'exhausted', error, failures);
        }
        const delayMs = await this.#withinLife(
          subject.part,
          delayOf(handler.retry, failures, this.#options.random),
        );
        return { kind: 'retry', delayMs, counted: true, error };
      }
    }
  }

  /**
   * A command is not put off beyond its expiry: it would not be carried out then, and the
   * compensation that its saga sends meanwhile waits behind it, in the same key.
   */
  async #withinLife(part: MessagePart, delayMs: number): Promise<number> {
    if (part.role !== 'command' || part.expiresAt === null) return delayMs;
    const left = await this.#expiry.remainingMs(part.expiresAt);
    return Math.min(delayMs, Math.max(0, Math.ceil(left)) + 1);
  }

  async #bury(
    subject: Subject,
    reason: BurialReason,
    error: unknown,
    failures?: number,
  ): Promise<InboxOutcome> {
    const attempts =
      failures ?? (await this.#options.inbox.noteEnd(subject.key, 'failed')).failures;
    return this.#bookkeeping.bury(subject, { reason, attempts, error });
  }

  /** Delivered again before long, without counting. The delay grows while this goes on. */
  #putOff(name: string, error: unknown): InboxOutcome {
    const times = (this.#suspects.retriesOf(name) ?? 0) + 1;
    const delayMs = delayOf(PUT_OFF, times, this.#options.random);
    return { kind: 'retry', delayMs, counted: false, error };
  }

  #observe(delivery: Delivery, handler: InboxHandler, outcome: InboxOutcome, began: number): void {
    const { message } = delivery;
    const { clock, logger, observer } = this.#options;
    const fields = {
      messageId: message.id,
      type: message.type,
      group: handler.group,
      delivery: delivery.attempt,
    };
    if (outcome.kind === 'buried') {
      logger.error(
        `Message '${message.type}' is given up (${outcome.reason}) and kept as a dead letter.`,
        { ...fields, attempts: outcome.attempts },
        outcome.error,
      );
    } else if (outcome.kind === 'retry') {
      logger.warn(`Message '${message.type}' is tried again in ${outcome.delayMs} ms.`, {
        ...fields,
        counted: outcome.counted,
        error: errorText(outcome.error),
      });
    }
    try {
      observer?.ended({
        message,
        group: handler.group,
        role: roleOf(message),
        outcome,
        durationMs: clock.now() - began,
      });
    } catch (error) {
      logger.error('An observer of the inbox failed; the message is not affected.', fields, error);
    }
  }
}
