import { CommitUnknownError, LockTimeoutError } from '../../errors/index.js';
import type { SettledOutcome, Transaction } from '../../ports/index.js';
import { classify } from '../../retry/index.js';
import { LeaseLostError, StepAbortedError, UnstorableResultError } from '../errors.js';
import type { AttemptResult, Happening } from '../decide/index.js';
import type { Attempt } from './attempt.js';
import { callMethod } from './call-method.js';
import type { Pending } from './pending.js';

/** What PostgreSQL calls it, and what makes an error a conflict wherever it comes from. */
const LOCK_NOT_AVAILABLE = '55P03';
/** Re-runs that the database may ask for before it counts as a failed attempt. */
const MOST_CONFLICTS = 12;
/** From this many on, the saga's other transitions are held back meanwhile. */
const CONFLICTS_TO_HOLD = 2;

/**
 * Runs a transactional attempt: the user's writes, its messages and the journal of its completion
 * commit together. Its outcome is always known: in the journal, or rolled back. Never rejects.
 */
export async function runTransactional(attempt: Attempt): Promise<void> {
  const { inside } = attempt;
  for (let conflicts = 0; ; conflicts += 1) {
    const end = await once(attempt);
    const conflict = end.kind === 'failed' && isOurConflict(attempt, end.error);
    const again = conflict && conflicts < MOST_CONFLICTS && mayGoOn(attempt) && !inside.draining;
    // Before the turn is given back: what is decided next has to find it, to abort it.
    if (again) attempt.again();
    attempt.turn.end();
    if (end.kind === 'committed') return;
    if (again) {
      if (conflicts + 1 < CONFLICTS_TO_HOLD) continue;
      await attempt.turn.holdFor(inside.settings.settleBoundMs);
      // It may have been aborted while it waited for the turn.
      if (mayGoOn(attempt)) continue;
      attempt.turn.end();
    }
    // A shutdown begins no further run, and no step fails by it: nothing was committed.
    const released = conflict && inside.draining && mayGoOn(attempt);
    attempt.settle(released ? { kind: 'released', doubt: false } : attempt.failure(end.error));
    return;
  }
}

/** A race that was lost in another database is a failure of the step. */
function isOurConflict({ inside, run }: Attempt, error: unknown): boolean {
  const { transactions } = inside;
  const { connection } = run.definition;
  const reported = (one: unknown): boolean => transactions.reported?.(connection, one) ?? true;
  return classify(error, reported) === 'conflict';
}

function mayGoOn({ aborted, run }: Attempt): boolean {
  return aborted === null && !run.closed;
}

type End = { readonly kind: 'committed' } | { readonly kind: 'failed'; readonly error: unknown };

/** What was decided for the commit, once the transaction came that far. */
interface Fence {
  pending: Pending | null;
  mine: Happening | null;
}

async function once(attempt: Attempt): Promise<End> {
  const { run, inside, start } = attempt;
  const point = start.role === 'compensation' ? 'compensation' : 'step';
  const fence: Fence = { pending: null, mine: null };
  let result: AttemptResult | null = null;
  const beforeCommit = async (transaction: Transaction): Promise<void> => {
    if (result === null) throw new TypeError('The transaction ended before its step did.');
    await inside.faults.reach('step.before-commit', start.step);
    // Only now: a saga's turn, and the lock of its row, must not last as long as the user's code.
    await attempt.turn.take();
    const { aborted } = attempt;
    // A shutdown lets pass what is ready to commit.
    if (aborted === 'timeout' || aborted === 'given_up') {
      throw new StepAbortedError(start.step, aborted);
    }
    if (attempt.abandoned) throw new StepAbortedError(start.step, 'given_up');
    if (run.closed) throw new LeaseLostError(run.id, 'it was given to another engine');
    const mine: Happening = {
      kind: 'settled',
      role: start.role,
      step: start.step,
      attempt: start.attempt,
      epoch: attempt.epoch,
      result,
    };
    attempt.finishing();
    fence.mine = mine;
    fence.pending = run.decide(mine);
    if (fence.pending === null)
      throw new LeaseLostError(run.id, 'the attempt is not expected any more');
    const outcome = await inside.sagas.apply(fence.pending.transition, transaction);
    switch (outcome.kind) {
      case 'applied':
        return;
      case 'rejected':
        throw new UnstorableResultError(start.step, outcome.error);
      case 'conflict':
        throw new LeaseLostError(run.id, `its revision is ${outcome.revision}`);
      case 'busy':
        // Not lost: somebody holds the row for a moment. Run again, and no attempt is counted.
        throw new LockTimeoutError(`saga ${run.id}`, 0, { cause: { code: LOCK_NOT_AVAILABLE } });
      case 'not_owner':
      case 'missing':
        throw new LeaseLostError(run.id, outcome.kind);
    }
  };
  try {
    await inside.transactions.run(
      run.definition.connection,
      async (manager) => {
        await inside.faults.reach(`${point}.before-invoke`, start.step);
        const value: unknown = await callMethod(attempt, manager);
        await inside.faults.reach(`${point}.after-invoke`, start.step);
        result = await attempt.resultOf(value);
      },
      beforeCommit,
    );
    await inside.faults.reach('step.after-commit', start.step);
  } catch (error) {
    return after(attempt, fence, error);
  }
  if (fence.pending === null) {
    return { kind: 'failed', error: new TypeError('beforeCommit was not called.') };
  }
  attempt.committed();
  run.applied(fence.pending);
  return { kind: 'committed' };
}

/** The transaction did not resolve. What had been decided is committed, gone, or has to be looked up. */
async function after(attempt: Attempt, { pending, mine }: Fence, error: unknown): Promise<End> {
  const { run, inside } = attempt;
  if (pending === null) return { kind: 'failed', error };
  // Once the fence was sent, an error may also have come after the COMMIT: it is looked up.
  let outcome: SettledOutcome['kind'];
  try {
    outcome = (await inside.flusher.lookUp(pending.transition)).kind;
  } catch {
    // The engine is closed: nobody here will know. Whoever adopts the saga reads its journal.
    run.drop('lost', pending);
    return { kind: 'failed', error };
  }
  if (outcome === 'applied') {
    attempt.committed();
    run.applied(pending);
    return { kind: 'committed' };
  }
  if (outcome === 'not_applied') {
    run.withdrawn(pending, mine ?? undefined);
    run.poke();
    const cause = error instanceof CommitUnknownError ? lostCommit(attempt, error) : error;
    return { kind: 'failed', error: cause };
  }
  inside.logger.warn('A transactional step was rolled back: its saga moved on without it.', {
    sagaId: run.id,
    step: attempt.start.step,
    outcome,
  });
  run.drop(outcome === 'not_owner' || outcome === 'missing' ? 'lost' : 'stale', pending);
  return { kind: 'failed', error };
}

function lostCommit(attempt: Attempt, cause: unknown): Error {
  return new Error(`The commit of '${attempt.start.step}' was lost and did not happen.`, { cause });
}
