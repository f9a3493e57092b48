import { newId } from '../../ids.js';
import type { DecisionContext } from '../decide/index.js';
import type { Attempts } from './attempts.js';
import type { EngineContext } from './engine-context.js';
import type { PostponedStarts } from './postponed-starts.js';
import type { SagaRun } from './saga-run.js';

/**
 * Gathers, at this moment, everything that a decision about a saga depends on beside the saga's state.
 */
export function decisionContextOf(
  engine: EngineContext,
  run: SagaRun,
  attempts: Attempts,
  postponed: PostponedStarts,
): DecisionContext {
  return {
    definition: run.definition,
    sagaId: run.id,
    tenant: run.tenant,
    incarnation: engine.incarnation,
    epoch: run.epoch,
    now: engine.storeNow(),
    backAt: engine.backAt,
    deadlineAt: run.deadlineAt,
    permits: engine.permits.freeFor(run),
    unsettled: (task) => attempts.unsettled(task) || engine.orphansOf(run.id).unsettled(task),
    random: engine.random,
    service: engine.service,
    mayStart: engine.mayStart() && !run.format.handsOver,
    handsOver: run.format.handsOver,
    postponedUntil: (task) => {
      const leftMs = engine.refusals.pauseLeftMs(run.definition.name, task);
      return Math.max(leftMs > 0 ? engine.storeNow() + leftMs : 0, postponed.until(task));
    },
    draining: engine.draining,
    shortDelayMs: engine.settings.shortDelayMs,
    newMessageId: newId,
  };
}
