import { CommitUnknownError, errorText, isStoreRefusal } from '../../errors/index.js';
import type { SettledOutcome, Transaction } from '../../ports/index.js';
import { classify } from '../../retry/index.js';
import { LeaseLostError, StepAbortedError, UnstorableResultError } from '../errors.js';
import type { AttemptResult, SagaEvent } from '../decide/index.js';
import type { Attempt } from './attempt.js';
import { callMethod } from './call-method.js';
import type { PendingTransition } from './pending-transition.js';
import { Reruns, type RolledBackFor } from './reruns.js';
import { whileWanted } from './while-wanted.js';

/**
 * How long a transaction may take from the decision that it commits to its end, in milliseconds. It is
 * longer than the store's limits for writing the decision and for COMMIT together, so it ends only what
 * has none: a statement of the application that runs beside them, and that nobody awaited before.
 */
const COMMIT_WITHIN_MS = 60_000;

/**
 * Runs a transactional attempt: the user's writes, its messages and the journal of its completion
 * commit together. Its outcome is always known: in the journal, or rolled back. Never rejects.
 *
 * The attempt is charged for its own work only. While it waits for a connection, for the turn of its
 * saga or for the row of the saga, its time limit does not run, and no attempt is counted. If the row or
 * the turn is not free within a minute, the attempt is given back, so that others get its permit. Lost
 * races and locked keys, of which its own statements or its command may be the cause, count after that.
 */
export async function runTransactional(attempt: Attempt): Promise<void> {
  const { engine, run, start } = attempt;
  const reruns = new Reruns(engine.clock);
  const ready = attempt.readOutputs();
  if (ready !== true && !(await ready)) return;
  for (;;) {
    const end = await once(attempt);
    const cause = causeOf(attempt, end);
    const refused = end.kind === 'failed' && isStoreRefusal(end.error);
    const more = cause !== null && reruns.note(cause);
    const again = more && mayGoOn(attempt) && !engine.draining;
    // This happens before the turn is given back, so that the next decision finds the attempt and can
    // abort it.
    if (again) attempt.again();
    attempt.turn.end();
    if (end.kind === 'committed') {
      engine.refusals.committed(run.definition.name, start);
      return;
    }
    let keptWaiting = !more && (cause === 'row' || cause === 'turn');
    if (again) {
      const ready = await readyAgain(attempt, reruns, cause);
      // It may have been aborted while it waited.
      if (ready && mayGoOn(attempt)) continue;
      attempt.turn.end();
      keptWaiting = !ready;
    }
    if (refused) engine.refusals.refused(run.definition.name, start, end.error);
    attempt.settle(resultOf(attempt, end, { passing: more, keptWaiting, refused }));
    return;
  }
}

/**
 * Waits before the next run, outside of a transaction, since that would hold row locks that others want.
 * False: the turn of the saga was not free in time.
 */
async function readyAgain(
  attempt: Attempt,
  reruns: Reruns,
  cause: RolledBackFor,
): Promise<boolean> {
  const pauseMs = reruns.pauseMs(cause);
  if (pauseMs > 0) await attempt.pause(pauseMs);
  if (!reruns.holdsTurn(cause)) return true;
  return attempt.turn.holdFor(attempt.engine.settings.settleBoundMs, reruns.leftMs(cause));
}

/** Why the run was rolled back although another one may commit; null: it committed, or it failed. */
function causeOf(attempt: Attempt, end: End): RolledBackFor | null {
  switch (end.kind) {
    case 'kept_waiting':
      return end.waitedFor;
    case 'failed':
      return isOurConflict(attempt, end.error) ? 'conflict' : null;
    case 'committed':
    case 'not_begun':
      return null;
  }
}

/**
 * Whether the error is a conflict in the saga's own database. One in another database is a failure of
 * the step.
 */
function isOurConflict({ engine, run }: Attempt, error: unknown): boolean {
  const { transactions } = engine;
  const { connection } = run.definition;
  const reported = (one: unknown): boolean => transactions.reported?.(connection, one) ?? true;
  return classify(error, reported) === 'conflict';
}

/**
 * Makes the result of an attempt that did not commit. `passing`: the failure allows another run of the
 * same work. `keptWaiting`: others have kept the saga itself waiting for as long as it may hold a permit.
 * `refused`: the store refused a statement on its own tables.
 */
function resultOf(
  attempt: Attempt,
  end: NotCommitted,
  {
    passing,
    keptWaiting,
    refused,
  }: {
    readonly passing: boolean;
    readonly keptWaiting: boolean;
    readonly refused: boolean;
  },
): AttemptResult {
  const { engine } = attempt;
  if (end.kind === 'not_begun' && (attempt.abandoned || engine.draining)) {
    return { kind: 'released', doubt: false };
  }
  if (end.kind === 'not_begun' && classify(end.error) !== 'final') {
    engine.logger.warn('A transactional step had no connection to begin with; it is tried later.', {
      sagaId: attempt.run.id,
      step: attempt.start.step,
      error: errorText(end.error),
    });
    attempt.connection.missed();
    return { kind: 'released', doubt: false };
  }
  // The store's refusal is no failure of the step. It begins again when the pause is over.
  if (refused && mayGoOn(attempt)) return { kind: 'released', doubt: false };
  // No step is at fault if its saga is kept waiting. It gives its permit to others meanwhile.
  if (keptWaiting && mayGoOn(attempt)) {
    engine.logger.warn(
      'A transactional step is put off: other transactions, or transitions that wait for them, have kept its saga locked. Look for transactions that stay open with locks on the table saga.',
      { sagaId: attempt.run.id, step: attempt.start.step, error: errorText(end.error) },
    );
    attempt.run.postpone([attempt.start]);
    return { kind: 'released', doubt: false };
  }
  // A shutdown begins no further run. The attempt is given back and does not fail, since it committed
  // nothing.
  if (passing && engine.draining && mayGoOn(attempt)) return { kind: 'released', doubt: false };
  return attempt.failure(end.error);
}

function mayGoOn({ aborted, unwanted, run }: Attempt): boolean {
  return aborted === null && !unwanted.signal.aborted && !run.closed;
}

/** The thing for which an attempt that was ready to commit waited in vain. */
type WaitedFor = Exclude<RolledBackFor, 'conflict'>;

type NotCommitted =
  | { readonly kind: 'failed'; readonly error: unknown }
  /** Rolled back because the saga's turn, its row or a key was not free in time. */
  | { readonly kind: 'kept_waiting'; readonly waitedFor: WaitedFor; readonly error: unknown }
  /** The method was not called: there was no connection, or no transaction could be opened on it. */
  | { readonly kind: 'not_begun'; readonly error: unknown };

type End = { readonly kind: 'committed' } | NotCommitted;

/** How far a transaction has come, and the decision that it commits. */
interface Fence {
  /** Whether the method was called. */
  begun: boolean;
  pending: PendingTransition | null;
  mine: SagaEvent | null;
  waitedFor: WaitedFor | null;
}

async function once(attempt: Attempt): Promise<End> {
  const { run, engine, start } = attempt;
  const point = start.role === 'compensation' ? 'compensation' : 'step';
  const fence: Fence = { begun: false, pending: null, mine: null, waitedFor: null };
  let result: AttemptResult | null = null;
  let stopBound = (): void => undefined;
  const beforeCommit = async (transaction: Transaction): Promise<void> => {
    if (result === null) throw new TypeError('The transaction ended before its step did.');
    await engine.faults.reach('step.before-commit', start.step);
    // The turn of the saga and the lock of its row are taken only now, so that they are not held during
    // the user's code.
    if (!(await attempt.turn.takeToCommit())) {
      fence.waitedFor = 'turn';
      throw new Error(`The turn of saga ${run.id} was not free in time.`);
    }
    const { aborted } = attempt;
    // A shutdown does not stop an attempt that is ready to commit.
    if (aborted !== null && aborted !== 'shutdown') throw new StepAbortedError(start.step, aborted);
    if (attempt.abandoned) throw new StepAbortedError(start.step, 'given_up');
    if (run.closed) throw new LeaseLostError(run.id, 'it was given to another engine');
    const mine = attempt.settledWith(result);
    attempt.finishing();
    stopBound = engine.timers.set(COMMIT_WITHIN_MS, () => attempt.unwanted.abort());
    fence.mine = mine;
    fence.pending = run.decide(mine);
    if (fence.pending === null)
      throw new LeaseLostError(run.id, 'the attempt is not expected any more');
    const outcome = await engine.sagas.apply(fence.pending.transition, transaction);
    switch (outcome.kind) {
      case 'applied':
        return;
      case 'rejected':
        throw new UnstorableResultError(start.step, outcome.error);
      case 'conflict':
        throw new LeaseLostError(run.id, `its revision is ${outcome.revision}`);
      case 'key_busy': {
        const key = ownKeyOf(result, run.id);
        // A key that a sibling's command names is not the step's own affair.
        fence.waitedFor = key === null ? 'row' : 'key';
        throw new Error(
          `Another transaction has locked the key ${key ?? 'of another message'} that a command of saga ${run.id} needs. Look for transactions that stay open after they have published to that key.`,
        );
      }
      case 'busy':
        // The saga is not lost: another transaction holds its row for a moment. The step runs again,
        // and no attempt is counted.
        fence.waitedFor = 'row';
        throw new Error(`The row of saga ${run.id} is locked by another transaction.`);
      case 'not_owner':
      case 'missing':
        throw new LeaseLostError(run.id, outcome.kind);
    }
  };
  const place = attempt.awaitConnection();
  const unwanted = attempt.unwanted.signal;
  try {
    await engine.transactions.run(
      run.definition.connection,
      async (manager) => {
        if (!attempt.connected())
          throw new StepAbortedError(start.step, attempt.aborted ?? 'given_up');
        fence.begun = true;
        await engine.faults.reach(`${point}.before-invoke`, start.step);
        // A method that has lost its transaction may never return, and must not keep it open.
        const value: unknown = await whileWanted(unwanted, callMethod(attempt, manager));
        await engine.faults.reach(`${point}.after-invoke`, start.step);
        result = await whileWanted(unwanted, attempt.resultOf(value));
        attempt.worked();
      },
      beforeCommit,
      unwanted,
      place,
    );
    stopBound();
    await engine.faults.reach('step.after-commit', start.step);
  } catch (error) {
    stopBound();
    attempt.rests();
    if (!fence.begun) return { kind: 'not_begun', error };
    const end = await after(attempt, fence, error);
    const { waitedFor } = fence;
    if (end.kind !== 'failed' || waitedFor === null) return end;
    return { kind: 'kept_waiting', waitedFor, error: end.error };
  }
  if (fence.pending === null) {
    return { kind: 'failed', error: new TypeError('beforeCommit was not called.') };
  }
  attempt.committed();
  run.applied(fence.pending);
  return { kind: 'committed' };
}

/**
 * Finds out what happened to a transaction that failed: its decision is committed, rolled back, or has
 * to be looked up.
 */
async function after(attempt: Attempt, fence: Fence, error: unknown): Promise<End> {
  const { run, engine } = attempt;
  const { pending, mine } = fence;
  if (pending === null) return { kind: 'failed', error };
  if (fence.waitedFor !== null || isStoreRefusal(error)) {
    // The store has said that it changed nothing.
    run.withdrawn(pending, mine ?? undefined);
    run.schedule();
    return { kind: 'failed', error };
  }
  // The transition was sent, so the error may have come after the COMMIT. The outcome is looked up.
  let outcome: SettledOutcome['kind'];
  try {
    outcome = (await engine.flusher.lookUp(pending.transition)).kind;
  } catch {
    // The engine is closed and will not learn the outcome. The engine that adopts the saga reads it
    // from the journal.
    run.close('lost', pending);
    return { kind: 'failed', error };
  }
  if (outcome === 'applied') {
    attempt.committed();
    run.applied(pending);
    return { kind: 'committed' };
  }
  if (outcome === 'not_applied') {
    run.withdrawn(pending, mine ?? undefined);
    run.schedule();
    const cause = error instanceof CommitUnknownError ? lostCommit(attempt, error) : error;
    return { kind: 'failed', error: cause };
  }
  engine.logger.warn('A transactional step was rolled back: its saga moved on without it.', {
    sagaId: run.id,
    step: attempt.start.step,
    outcome,
  });
  run.close(outcome === 'not_owner' || outcome === 'missing' ? 'lost' : 'stale', pending);
  return { kind: 'failed', error };
}

/** The key that the command of this result names; null: none, so its key is the id of its saga. */
function ownKeyOf(result: AttemptResult, sagaId: string): string | null {
  if (result.kind !== 'waits') return null;
  const { key } = result.request.command;
  return key === sagaId ? null : key;
}

function lostCommit(attempt: Attempt, cause: unknown): Error {
  return new Error(`The commit of '${attempt.start.step}' was lost and did not happen.`, { cause });
}
