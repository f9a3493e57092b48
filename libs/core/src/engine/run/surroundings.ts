import { newId } from '../../ids.js';
import type { Surroundings } from '../decide/index.js';
import type { Attempts } from './attempts.js';
import type { Inside } from './inside.js';
import type { SagaRun } from './saga-run.js';

/** What a decision about a saga needs to know beside the saga itself, as it is now. */
export function surroundingsOf(inside: Inside, run: SagaRun, attempts: Attempts): Surroundings {
  return {
    definition: run.definition,
    sagaId: run.id,
    tenant: run.tenant,
    incarnation: inside.incarnation,
    epoch: run.epoch,
    now: inside.storeNow(),
    backAt: inside.backAt,
    deadlineAt: run.deadlineAt,
    room: inside.places.room(run),
    unsettled: (role, step) =>
      attempts.unsettled(role, step) || inside.orphansOf(run.id).unsettled(role, step),
    random: inside.random,
    service: inside.service,
    mayStart: inside.mayStart(),
    draining: inside.draining,
    shortDelayMs: inside.settings.shortDelayMs,
    newMessageId: newId,
  };
}
