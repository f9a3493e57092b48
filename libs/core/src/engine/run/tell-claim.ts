import { sagaDueSince } from '../decide/index.js';
import type { EngineContext } from './engine-context.js';
import type { SagaRun } from './saga-run.js';

/** Tells that a saga was loaded from the store. */
export function tellClaim(
  engine: Pick<EngineContext, 'facts' | 'storeNow'>,
  run: SagaRun,
  found: 'claimed' | 'owned',
): void {
  const { facts } = engine;
  if (!facts.wants('saga_claimed')) return;
  const now = engine.storeNow();
  const since = sagaDueSince(run.state, run.deadlineAt, now);
  const queuedMs = since === null ? null : Math.max(0, now - since);
  facts.tell({ kind: 'saga_claimed', ...run.facts, found, queuedMs });
}
