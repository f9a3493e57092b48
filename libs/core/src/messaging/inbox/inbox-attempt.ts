import { isSagaRefusal, type SagaRefusal, errorRecord } from '../../errors/index.js';
import type {
  Applied,
  Clock,
  FaultPoints,
  InboxStore,
  KeptReply,
  Message,
  OutboxMessage,
  Transaction,
  Transactions,
} from '../../ports/index.js';
import { encodeBody } from '../codec/index.js';
import { payloadProblem } from '../rules/index.js';
import { claimSubject } from './claim-subject.js';
import { UnsendableReplyError } from './errors.js';
import { failureOf, mayRunAgain } from './failure.js';
import type { InboxBookkeeping, Subject } from './inbox-bookkeeping.js';
import type { InboxHandler, InboxOutcome, InboxUnit, MessageRole } from './inbox.types.js';
import { LandedEnd } from './landed-end.js';
import { okReply, replyMessage } from './reply.js';

/** The result of an attempt: an end, or an error that has yet to be classified. */
export type AttemptResult =
  | { readonly kind: 'ended'; readonly outcome: InboxOutcome }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface AttemptTools {
  readonly inbox: InboxStore;
  readonly bookkeeping: InboxBookkeeping;
  readonly transactions: Pick<Transactions, 'abandon' | 'reported'>;
  readonly service: string;
  readonly clock: Clock;
  readonly faults: FaultPoints;
  readonly waitMs: number;
}

type Publish = (message: OutboxMessage) => void;

/**
 * One attempt to handle a message. The code that calls the handler wraps it in {@link run}. The attempt
 * records how that ended, and only this record decides about the acknowledgement; the results of outer
 * filters and interceptors do not.
 */
export class InboxAttempt {
  readonly message: Message;
  /** From 1; as the broker counts deliveries. */
  readonly delivery: number;
  readonly group: string;
  readonly role: MessageRole;
  readonly #subject: Subject;
  readonly #handler: InboxHandler;
  readonly #tools: AttemptTools;
  readonly #idleMs: number | undefined;
  #applied: Applied | null = null;
  #handlerCalled = false;
  #result: AttemptResult | null = null;
  #work: Promise<unknown> | null = null;
  readonly #delivered: AbortSignal;
  #stop: AbortController | null = null;
  #signal: AbortSignal | null = null;
  /** Set once the time limit is over: nothing commits from then on. */
  #over: Error | null = null;
  /**
   * The open transaction. It can be severed until it has ended: a statement that the handler did not
   * await may hang, and COMMIT and ROLLBACK wait for it.
   */
  #transaction: Transaction | null = null;
  #cut: (error: Error) => void = () => undefined;
  #openedAt: number | null = null;
  readonly #landed: LandedEnd;

  /** @param idleMs see {@link TimeLimits} */
  constructor(
    subject: Subject,
    delivery: { readonly signal: AbortSignal; readonly attempt: number },
    handler: InboxHandler,
    tools: AttemptTools,
    idleMs: number | undefined,
  ) {
    this.#subject = subject;
    this.#handler = handler;
    this.#tools = tools;
    this.#landed = new LandedEnd(tools.inbox, subject);
    this.#idleMs = idleMs;
    this.message = subject.message;
    this.#delivered = delivery.signal;
    this.delivery = delivery.attempt;
    this.group = handler.group;
    this.role = subject.part.role;
  }

  /**
   * Aborted when the right to work on the message is lost, or the time limit is over. It is created on
   * first use, since most handlers never look at it and creating it is a good part of the cost of an
   * attempt.
   */
  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.any([this.#delivered, this.#stopper().signal]);
    return this.#signal;
  }

  /**
   * In the handler of a compensation: whether the command is known to have been carried out. `unknown`
   * means that it may never have arrived, or may have had effects outside of this database. Null in
   * other handlers.
   */
  get applied(): Applied | null {
    return this.#applied;
  }

  /** Whether the handler was called: the message was claimed, and no earlier one had ended it. */
  get handlerCalled(): boolean {
    return this.#handlerCalled;
  }

  /** How the attempt ended; null: its handler was not called. */
  get result(): AttemptResult | null {
    return this.#result;
  }

  /**
   * Runs the handler in a transaction of `unit`: inbox row, participant row, handler, reply. A message
   * that needs no handling (duplicate, late, repeated) resolves with undefined and the handler is not
   * called. A refusal is recorded and resolves with undefined, since it is no error. The error of a
   * failed handler is thrown on, after its rollback.
   */
  run<T>(unit: InboxUnit, handler: () => Promise<T>): Promise<T | undefined> {
    if (this.#work !== null) {
      return Promise.reject(
        new Error(
          `The handler of '${this.message.type}' is wrapped twice. Declare it as a message handler once.`,
        ),
      );
    }
    // An outer interceptor called the handler after the time limit.
    if (this.#over !== null) return Promise.reject(this.#over);
    const work = this.#run(unit, handler);
    this.#work = work;
    return work;
  }

  /** When the handler's first transaction was open, by the clock; null: it is not yet. */
  get openedAt(): number | null {
    return this.#openedAt;
  }

  /** Whether the handler still waits for its transaction. */
  get waitsForTransaction(): boolean {
    return this.#work !== null && this.#transaction === null;
  }

  #stopper(): AbortController {
    this.#stop ??= new AbortController();
    return this.#stop;
  }

  get #stopped(): boolean {
    return this.#over !== null || this.#delivered.aborted;
  }

  /**
   * Tells the handler to stop. Unless its COMMIT was sent already, its work does not commit any more.
   */
  giveUp(error: Error): void {
    this.#over = error;
    this.#stopper().abort(error);
  }

  /**
   * Takes the transaction from a handler that does not stop. How the handler ends does not matter any
   * more.
   */
  sever(): void {
    const error = this.#over ?? new Error('The attempt was given up.');
    this.#over = error;
    this.#result ??= { kind: 'failed', error };
    if (this.#transaction !== null) this.#tools.transactions.abandon(this.#transaction);
    this.#cut(error);
  }

  /**
   * Waits until a handler that was reached has ended. An outer interceptor, a timeout for instance, may
   * have answered while the transaction is still open.
   */
  async settled(): Promise<void> {
    await this.#work?.catch(() => undefined);
  }

  async #run<T>(unit: InboxUnit, handler: () => Promise<T>): Promise<T | undefined> {
    for (let rerun = 0; ; rerun += 1) {
      const seen: { value?: T } = {};
      this.#landed.begin();
      try {
        const outcome = await unit.run(
          (transaction, publish) =>
            this.#inTime(transaction, () =>
              this.#inTransaction(transaction, publish, async () => {
                seen.value = await handler();
                return seen.value;
              }),
            ),
          this.#landed.last,
        );
        this.#landed.assertEnded();
        this.#transaction = null;
        await this.#tools.faults.reach('inbox.after-commit', this.message.id);
        this.#end(outcome);
        return seen.value;
      } catch (error) {
        this.#transaction = null;
        try {
          if (isSagaRefusal(error)) {
            this.#end(await this.#refuse(error));
            return undefined;
          }
          const failure = failureOf(error, (one) => this.#tools.transactions.reported(one));
          if (failure === 'unknown' && (await this.#tools.bookkeeping.hasEnded(this.#subject))) {
            this.#end({ kind: 'committed' });
            return seen.value;
          }
          // A lost race says nothing about the message. The lost transaction is rolled back already,
          // and a new one begins with a new snapshot.
          if (mayRunAgain(failure, rerun) && !this.#stopped) continue;
        } catch (inner) {
          this.#result ??= { kind: 'failed', error: inner };
          throw inner;
        }
        // A handler that was told to stop may throw any error, so the reason for stopping counts.
        this.#result ??= { kind: 'failed', error: this.#over ?? error };
        throw error;
      }
    }
  }

  #end(outcome: InboxOutcome): void {
    this.#result ??= { kind: 'ended', outcome };
  }

  #refuse(refusal: SagaRefusal): Promise<InboxOutcome> {
    const { reason = 'refused', details } = errorRecord(refusal);
    return this.#tools.bookkeeping.refuse(
      this.#subject,
      details === null ? { reason } : { reason, details },
    );
  }

  #refuseLate(): void {
    if (this.#over !== null) throw this.#over;
  }

  /** The code that opened the transaction must not wait for a handler that has lost it. */
  #inTime<T>(transaction: Transaction, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#refuseLate();
      this.#transaction = transaction;
      this.#openedAt ??= this.#tools.clock.now();
      this.#cut = reject;
      work().then(resolve, reject);
    });
  }

  async #inTransaction(
    transaction: Transaction,
    publish: Publish,
    handler: () => Promise<unknown>,
  ): Promise<InboxOutcome> {
    const { inbox, faults, waitMs } = this.#tools;
    const { part, message, keepMs } = this.#subject;
    // The message is claimed before anything else is locked. A transaction that held business rows
    // while it waits for the inbox row could deadlock with the one that holds the inbox row.
    const times = { waitMs, idleMs: this.#idleMs };
    const claim = await claimSubject(inbox, this.#subject, transaction, times);
    if (claim === 'known') return { kind: 'duplicate', finished: false };
    this.#landed.claimed();
    if (claim === 'known_itself') return { kind: 'duplicate', finished: true };
    await faults.reach('inbox.after-claim', message.id);
    if (part.role === 'command') {
      // This happens at the start and not at the end, so that a compensation that comes while the
      // command is being handled waits here; otherwise neither would see the other.
      const known = await inbox.beginCommand(
        message.tenant,
        part.idempotencyKey,
        keepMs,
        transaction,
        waitMs,
      );
      if (known.kind === 'undone') return { kind: 'late' };
      if (known.kind === 'applied') {
        if (known.reply !== null) this.#publishReply(known.reply, publish);
        return { kind: 'repeated' };
      }
    } else if (part.role === 'compensation') {
      this.#applied = await inbox.markUndone(
        message.tenant,
        part.idempotencyKey,
        keepMs,
        transaction,
        waitMs,
      );
    }
    this.#handlerCalled = true;
    const value = await handler();
    await faults.reach('inbox.after-handler', message.id);
    this.#refuseLate();
    if (part.role !== 'event') {
      const reply = this.#replyOf(value);
      if (part.role === 'command') {
        await inbox.keepReply(message.tenant, part.idempotencyKey, reply, transaction);
      }
      this.#publishReply(reply, publish);
    }
    await faults.reach('inbox.before-commit', message.id);
    this.#refuseLate();
    return { kind: 'committed' };
  }

  /**
   * @throws UnsendableReplyError, UnserializableValueError, UnencodableValueError; each rolls the work
   *   back, since its sender could not be answered
   */
  #replyOf(value: unknown): KeptReply {
    const { codec } = this.#handler;
    const { contentType } = codec;
    const payload = encodeBody(codec, value, `The reply to '${this.message.type}'`);
    const found = payloadProblem(payload);
    if (found === null) return okReply(contentType, payload);
    throw new UnsendableReplyError(this.message.type, found.problem, found.remedy);
  }

  #publishReply(reply: KeptReply, publish: Publish): void {
    const { part, message } = this.#subject;
    if (part.role === 'event' || part.replyTo === null) return;
    const { service, clock } = this.#tools;
    const from = { service, time: clock.date().toISOString() };
    publish(replyMessage(message, part.replyTo, part.role, reply, from));
  }
}
