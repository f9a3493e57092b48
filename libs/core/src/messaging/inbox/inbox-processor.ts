import { isStoreRefusal, storeFailureOf } from '../../errors/index.js';
import { guarded } from '../../observers/index.js';
import { noFaults, type Delivery, type InboxKey } from '../../ports/index.js';
import { delayOf } from '../../retry/index.js';
import { HandlerTimeoutError } from '../handler-timeout.error.js';
import { settlesWithin } from '../settles-within.js';
import { UntrustedMessageError } from '../signing/index.js';
import { SubscriptionClosedError } from '../subscription-closed.error.js';
import { Admission, type Admitted } from './admission.js';
import { callWithin } from './call-within.js';
import type { Claimed } from './claim-subject.js';
import { deathBefore } from './death-before.js';
import { HandlerNotReachedError, HeldKeyError, InboxBusyError } from './errors.js';
import { Expiry } from './expiry.js';
import { failureOf, type Failure } from './failure.js';
import { tellTrial } from './handler-end.js';
import { InboxAttempt, type AttemptTools } from './inbox-attempt.js';
import { InboxBookkeeping, type Subject } from './inbox-bookkeeping.js';
import type {
  BurialReason,
  HandledDelivery,
  InboxHandler,
  InboxOutcome,
  InboxProcessorOptions,
} from './inbox.types.js';
import { lineOf } from './landed-form.js';
import { Landing } from './landing.js';
import { inboxKeyOf, partOf, partOfMalformed, type MessagePart } from './message-role.js';
import { judged, type Judged } from './judged-delivery.js';
import { putOffDelay } from './put-off-delay.js';
import { RecentRetries, uncountedOf } from './recent-retries.js';
import { SoloGate } from './solo-gate.js';
import type { StartNote } from './start-note.js';
import { StoreRefusals } from './store-refusals.js';
import { tellOutcome } from './tell-outcome.js';
import { timeLimitsOf } from './time-limits.js';

const WAIT_MS = 1_000;
const DAY_MS = 86_400_000;
const SLOW_PLACES = 2;
/** When a message that failed in a trial is tried again, in milliseconds: after others of its group. */
const TRIED_AGAIN_MS = 10_000;
/** One delivery and what handles it. */
interface Reception extends Judged {
  readonly claimed: Claimed;
  readonly handler: InboxHandler;
  readonly invoke: (attempt: InboxAttempt) => Promise<unknown>;
  /** The key as one text. */
  readonly name: string;
}

/**
 * Handles deliveries so that a message's effects happen once for its group.
 *
 * For each delivery, in this order: a duplicate of one that runs in this process joins it, without a
 * connection; an expired command is answered and ended; the caller's pipeline runs, and in it the
 * handler's transaction ({@link InboxAttempt.run}); the recorded end is settled: the delivery is
 * acknowledged, put off, or given up. Only a proven end is ever acknowledged.
 */
export class InboxProcessor {
  readonly #options: InboxProcessorOptions;
  readonly #bookkeeping: InboxBookkeeping;
  readonly #expiry: Expiry;
  readonly #tools: AttemptTools;
  readonly #recent = new RecentRetries();
  readonly #admission: Admission;
  readonly #refusals: StoreRefusals;
  readonly #running = new Map<string, Promise<HandledDelivery>>();
  readonly #keepMs: number;
  readonly #landing: Landing;

  constructor(given: InboxProcessorOptions) {
    const options = guarded('The observer of the inbox', given);
    const { inbox, outbox, transactions, service, clock } = options;
    const waitMs = options.waitMs ?? WAIT_MS;
    this.#options = options;
    this.#keepMs = options.keepParticipantsMs ?? 30 * DAY_MS;
    this.#expiry = new Expiry(inbox, clock);
    const parts = { inbox, outbox, transactions, service, clock, waitMs };
    this.#bookkeeping = new InboxBookkeeping(parts);
    this.#landing = new Landing({ ...options, waitMs });
    const faults = options.faults ?? noFaults;
    this.#tools = { ...parts, bookkeeping: this.#bookkeeping, faults };
    const { logger, random = Math.random } = options;
    this.#refusals = new StoreRefusals({
      clock,
      logger,
      random,
      onFailure: (failure) => options.observer?.storeFailed?.({ failure }),
    });
    this.#admission = new Admission({
      inbox,
      clock,
      logger,
      gate: options.gate ?? new SoloGate(clock),
      recent: this.#recent,
      slowPlaces: options.slowPlaces ?? SLOW_PLACES,
      random,
      hasEnded: (claimed) => this.#bookkeeping.hasEnded(claimed),
      landsSuspects: options.keepsRetries === false,
    });
  }

  /** The problem in words, for readiness: the store refuses the inbox. Null while it does not. */
  get problem(): string | null {
    return this.#refusals.problem;
  }

  /**
   * Handles one delivery. `invoke` runs the pipeline around the handler and must call
   * `attempt.run(unit, handler)` in it. Never rejects.
   */
  async receive(
    delivered: Delivery,
    handler: InboxHandler,
    invoke: (attempt: InboxAttempt) => Promise<unknown>,
  ): Promise<HandledDelivery> {
    const { delivery, distrust } = judged(delivered, this.#options.signing);
    const { landed } = delivery;
    const itself = inboxKeyOf(handler.group, delivery.message);
    const key = landed?.key ?? itself;
    const name = JSON.stringify([key.tenant, key.group, key.source, key.id]);
    const running = this.#running.get(name);
    if (running !== undefined) {
      if (landed === undefined) return this.#join(running, delivery, handler, key);
      // The end of a delivery by the broker says nothing about the row of the landing queue.
      await running;
      return this.receive(delivered, handler, invoke);
    }
    const line = distrust === null ? lineOf(key, delivery) : undefined;
    const own = itself.id === key.id ? undefined : itself;
    const claimed = { key, line, landed, own };
    const work = this.#receive({ delivery, distrust, handler, invoke, claimed, name });
    this.#running.set(name, work);
    try {
      return await work;
    } finally {
      this.#running.delete(name);
    }
  }

  /**
   * Puts deliveries into the landing queue, in the order given and in one statement, because a message before
   * them in their key has landed. False: the store did not take them, and they have to be delivered.
   */
  landFollowers(deliveries: readonly Delivery[]): Promise<boolean> {
    return this.#landing.follow(deliveries.map((one) => judged(one, this.#options.signing)));
  }

  /**
   * A duplicate of a message that this process is handling waits a little and is then delivered again,
   * since a duplicate that waited as long as a handler may take would keep a place.
   */
  async #join(
    running: Promise<HandledDelivery>,
    delivery: Delivery,
    handler: InboxHandler,
    key: InboxKey,
  ): Promise<HandledDelivery> {
    const { clock } = this.#options;
    const began = clock.now();
    const ended = await settlesWithin(running, clock, this.#tools.waitMs);
    if (!ended) {
      const delayMs = putOffDelay(6, this.#options.random);
      const error = InboxBusyError.ofMessage(key, this.#tools.waitMs);
      return { kind: 'retry', delayMs, counted: false, error };
    }
    const outcome = await running;
    const duplicate = { kind: 'duplicate', finished: false } as const;
    if (outcome.kind === 'done') {
      tellOutcome(this.#options, delivery, handler.group, duplicate, began);
    }
    return outcome;
  }

  async #receive(reception: Reception): Promise<HandledDelivery> {
    const { delivery, handler, name } = reception;
    const began = this.#options.clock.now();
    const outcome = await this.#refusals.run(
      handler,
      () => this.#admit(reception),
      (error) => this.#putOff(name, error, true),
    );
    const now = this.#options.clock.now();
    this.#recent.noteOutcome(name, outcome, now, (error) => this.#failureOf(error));
    tellTrial(delivery, outcome);
    const end = await this.#landing.endOf(delivery, reception.claimed, outcome);
    tellOutcome(this.#options, delivery, handler.group, end.outcome, began);
    return end.handled;
  }

  async #admit(reception: Reception): Promise<InboxOutcome> {
    try {
      const { delivery, claimed, name } = reception;
      return await this.#admission.run(delivery, { ...claimed, name }, (admitted) =>
        this.#handle(reception, admitted),
      );
    } catch (error) {
      // The bookkeeping failed. The message may not be done, so it is not acknowledged.
      return this.#putOff(reception.name, error, storeFailureOf(error) === 'refused');
    }
  }

  async #handle(reception: Reception, { note, attempts }: Admitted): Promise<InboxOutcome> {
    const { delivery, distrust, handler, invoke, claimed, name } = reception;
    const { message, signal } = delivery;
    if (signal.aborted) return this.#putOff(name, signal.reason);
    if (distrust !== null) {
      // No reply is sent, or a forged message could make a step of any saga fail.
      const subject: Subject = { ...claimed, message, part: { role: 'event' }, keepMs: 0 };
      const error = new UntrustedMessageError(message.type, message.source, distrust);
      return this.#bookkeeping.bury(subject, { reason: distrust.reason, attempts: 0, error });
    }
    let part: MessagePart;
    try {
      part = partOf(message);
    } catch (error) {
      const subject: Subject = { ...claimed, message, part: partOfMalformed(message), keepMs: 0 };
      return this.#bookkeeping.bury(subject, { reason: 'malformed', attempts: 0, error });
    }
    let keepMs = this.#keepMs;
    if (part.role === 'command' && part.expiresAt !== null) {
      const left = await this.#expiry.remainingMs(part.expiresAt);
      if (left <= 0) return this.#bookkeeping.expire({ ...claimed, message, part, keepMs });
      // Kept a day longer, so that a dead letter that is replayed on its last day finds the mark.
      keepMs = Math.max(keepMs, left + DAY_MS);
    }
    const subject: Subject = { ...claimed, message, part, keepMs };
    const death =
      this.#recent.spent(name) ??
      deathBefore(message.type, attempts, { ...handler.retry, maxCrashes: handler.maxCrashes });
    if (death !== null) {
      return this.#bury(subject, reception, death.reason, death.error, death.failures);
    }
    await note?.begin();
    const limits = timeLimitsOf(handler, this.#options.graceMs);
    const attempt = new InboxAttempt(subject, delivery, handler, this.#tools, limits.idleMs);
    const stopped = (): void => {
      // If the message was lost and not given back, the handler can still be what kills the process: a
      // process that runs out of memory often loses its messages first. So the note stays until it ends.
      if (signal.reason instanceof SubscriptionClosedError) note?.giveBack();
    };
    if (note !== null) signal.addEventListener('abort', stopped, { once: true });
    const thrown = await callWithin(attempt, invoke, limits, this.#options.clock);
    if (note !== null) signal.removeEventListener('abort', stopped);
    const result = attempt.result;
    if (result?.kind === 'ended') return result.outcome;
    if (result !== null) return this.#failed(reception, attempt, subject, note, result.error);
    if (thrown === null) {
      const error = new HandlerNotReachedError(message.type, handler.group);
      return this.#failed(reception, attempt, subject, note, error);
    }
    // A guard refused, or an outer interceptor threw. Only if the database is away, a retry helps.
    const failure = this.#failureOf(thrown.error);
    if (failure === 'unavailable' || failure === 'conflict') {
      return this.#failed(reception, attempt, subject, note, thrown.error);
    }
    return this.#bury(subject, reception, 'rejected', thrown.error, 1);
  }

  /** Decides what follows a failed attempt. */
  async #failed(
    reception: Reception,
    attempt: InboxAttempt,
    subject: Subject,
    note: StartNote | null,
    error: unknown,
  ): Promise<InboxOutcome> {
    const { inbox, clock, graceMs } = this.#options;
    const { delivery, handler, name } = reception;
    const timedOut = error instanceof HandlerTimeoutError;
    const kind = this.#failureOf(error);
    // A handler that stops because the message is another process's now has not failed.
    const stopped = kind === 'retryable' && delivery.signal.aborted && !timedOut;
    const failure = stopped ? 'busy' : kind;
    switch (failure) {
      case 'conflict':
      case 'busy':
      case 'unknown':
      case 'unavailable': {
        if (error instanceof HeldKeyError) {
          await note?.endUncounted(attempt.handlerCalled);
          return this.#putOff(name, error);
        }
        // A race that is lost again and again counts, or the message would hold its key for ever.
        const { idleMs: heldMs = 0 } = timeLimitsOf(handler, graceMs);
        if (this.#recent.mustCount(name, uncountedOf(failure), clock.now(), heldMs)) break;
        await note?.endUncounted(attempt.handlerCalled);
        return this.#putOff(name, error);
      }
      case 'final':
        return this.#bury(subject, reception, 'final', error);
      case 'refusal':
      case 'retryable':
        break;
    }
    if (delivery.trial?.counts === false) {
      await note?.endUncounted(attempt.handlerCalled);
      const delayMs = await this.#expiry.withinLife(subject.part, TRIED_AGAIN_MS);
      return { kind: 'retry', delayMs, counted: false, error, trial: true };
    }
    // Counted in the database only: the count survives the process, and while the database is away no
    // attempt is used up.
    const { failures } = await inbox.noteEnd(subject.key, timedOut ? 'timed_out' : 'failed');
    note?.endCounted();
    if (failures >= handler.retry.attempts) {
      return this.#bury(subject, reception, 'exhausted', error, failures);
    }
    const policyMs = delayOf(handler.retry, failures, this.#options.random);
    // A message that timed out waits at least as long as it ran: it has its place half of the time.
    const delayMs = timedOut ? Math.max(policyMs, error.timeoutMs) : policyMs;
    return {
      kind: 'retry',
      delayMs: await this.#expiry.withinLife(subject.part, delayMs),
      counted: true,
      failures,
      error,
    };
  }

  #failureOf(error: unknown): Failure {
    return failureOf(error, (one) => this.#options.transactions.reported(one));
  }

  async #bury(
    subject: Subject,
    { name, handler: { blocks = false } }: Reception,
    reason: BurialReason,
    error: unknown,
    failures?: number,
  ): Promise<InboxOutcome> {
    const attempts =
      failures ?? (await this.#options.inbox.noteEnd(subject.key, 'failed')).failures;
    // Remembered, so that the handler is not called again if the dead letter cannot be written now.
    this.#recent.noteSpent(name, { reason, failures: attempts, error }, this.#options.clock.now());
    return this.#bookkeeping.bury(subject, { reason, attempts, error, blocks });
  }

  /** Puts the delivery off without counting an attempt. The delay grows while this goes on. */
  #putOff(name: string, error: unknown, refused = isStoreRefusal(error)): InboxOutcome {
    const times = this.#recent.uncounted(name) + 1;
    const delayMs = putOffDelay(times, this.#options.random);
    return { kind: 'retry', delayMs, counted: false, error, ...(refused ? { refused } : {}) };
  }
}
