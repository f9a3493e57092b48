import { newNonce } from '../../ids.js';
import type { JournalEntry, SagaTransition } from '../../ports/index.js';
import type { Decision, SagaEvent } from '../decide/index.js';

const NOTHING: readonly never[] = [];

/** A transition that was decided and whose outcome in the store is not known yet. */
export interface PendingTransition {
  readonly decision: Decision;
  readonly transition: SagaTransition;
  readonly events: readonly SagaEvent[];
}

/**
 * The transition that writes a decision to the store, provided that the saga there is unchanged since.
 */
export function transitionOf(
  fence: Pick<SagaTransition, 'sagaId' | 'owner' | 'epoch' | 'revision' | 'becomes'>,
  { status, ownership, messages, consumedMail }: Decision,
  entries: readonly JournalEntry[],
): SagaTransition {
  const { sagaId, owner, epoch, revision, becomes } = fence;
  return {
    id: newNonce(),
    sagaId,
    owner,
    epoch,
    revision,
    status,
    ownership,
    entries,
    messages,
    consumedMail,
    mail: NOTHING,
    sagas: NOTHING,
    becomes,
  };
}
