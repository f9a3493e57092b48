import { newNonce } from '../../ids.js';
import type { JournalEntry, SagaTransition } from '../../ports/index.js';
import type { Decision, Happening } from '../decide/index.js';

/** A transition that was decided and not yet answered. */
export interface Pending {
  readonly decision: Decision;
  readonly transition: SagaTransition;
  readonly happenings: readonly Happening[];
}

/** What a decision changes in the store, where the saga still is as the decision saw it. */
export function transitionOf(
  fence: Pick<SagaTransition, 'sagaId' | 'owner' | 'epoch' | 'revision'>,
  { status, ownership, messages, consumedMail }: Decision,
  entries: readonly JournalEntry[],
): SagaTransition {
  return { id: newNonce(), ...fence, status, ownership, entries, messages, consumedMail };
}
