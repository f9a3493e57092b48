import { isFinal, type OutboxMessage, type SagaTransition } from '@sagaz/core';
import {
  keyLockRows,
  keyLockValues,
  outboxInsertValues,
  type KeyLockRow,
} from '../outbox/index.js';
import { entriesText, hasOutputs, outputArrays } from './journal-rows.js';
import { begunValues, postedValues, type DefinitionNumbers } from './transition-others.js';
import type { TransitionParts } from './transition-sql.js';

const NO_LOCKS: readonly KeyLockRow[] = [];

/** The parts that a statement for these transitions needs. */
export function partsOf(transitions: readonly SagaTransition[]): TransitionParts {
  const ends = transitions.filter(({ status }) => isFinal(status)).length;
  return {
    ends: ends === 0 ? 'none' : ends === transitions.length ? 'all' : 'some',
    messages: transitions.some(({ messages }) => messages.length > 0),
    mail: transitions.some(({ consumedMail }) => consumedMail.length > 0),
    becomes: transitions.some(({ becomes }) => becomes !== null),
    posts: transitions.some(({ mail }) => mail.length > 0),
    begins: transitions.some(({ sagas }) => sagas.length > 0),
    outputs: transitions.some(({ entries }) => hasOutputs(entries)),
    locks: transitions.some((one) => locksOf(one, 0).length > 0),
  };
}

/** The values of `TransitionSql.many`. */
export function manyValues(
  transitions: readonly SagaTransition[],
  parts: TransitionParts,
  numbers: DefinitionNumbers | null,
): unknown[] {
  return [
    transitions.map(({ sagaId }) => sagaId),
    transitions.map(({ owner }) => owner),
    transitions.map(({ epoch }) => epoch),
    transitions.map(({ revision }) => revision),
    transitions.map(({ status }) => status),
    transitions.map(({ ownership }) => ownership.kind === 'give_back'),
    transitions.map(wakeInMs),
    transitions.map(({ id }) => id),
    transitions.map(({ entries }) => entriesText(entries)),
    ...writeValues(transitions, parts, numbers),
  ];
}

/** The values of `TransitionSql.one`, or of `last` with its limits. */
export function oneValues(
  transition: SagaTransition,
  parts: TransitionParts,
  numbers: DefinitionNumbers | null,
  limits: readonly number[] = [],
): unknown[] {
  return [
    transition.sagaId,
    transition.owner,
    transition.epoch,
    transition.revision,
    transition.status,
    transition.ownership.kind === 'give_back',
    wakeInMs(transition),
    transition.id,
    ...limits,
    entriesText(transition.entries),
    ...writeValues([transition], parts, numbers),
  ];
}

/** The arrays of messages, by place. */
export function messageArrays(messagesByPlace: readonly (readonly OutboxMessage[])[]): unknown[] {
  const places: number[] = [];
  for (const [at, messages] of messagesByPlace.entries()) {
    for (let i = 0; i < messages.length; i += 1) places.push(at + 1);
  }
  return outboxInsertValues(messagesByPlace.flat(), places);
}

/**
 * The locks of keys other than the saga's id. Messages with the saga's id as their key are put in order
 * by the lock of its row, and need no lock of their own.
 */
export function locksOf(
  { sagaId, messages }: SagaTransition,
  place: number,
): readonly KeyLockRow[] {
  // Asked three times of each transition, and most have no message with a key of its own.
  const others = messages.filter(({ key }) => key !== sagaId);
  return others.length === 0 ? NO_LOCKS : keyLockRows(place, others);
}

/** The approximate number of bytes of a transition. Statements are bounded by bytes and by number. */
export function bytesOf(transition: SagaTransition): number {
  let bytes = 200;
  for (const entry of transition.entries) bytes += 60 + (entry.data?.length ?? 0);
  // Bytes are sent as hexadecimal digits.
  for (const { data } of transition.mail) bytes += 100 + data.length;
  for (const { entries } of transition.sagas) {
    for (const { data } of entries) bytes += 260 + (data?.length ?? 0);
  }
  for (const message of transition.messages) bytes += 400 + 2 * message.payload.byteLength;
  return bytes;
}

function writeValues(
  transitions: readonly SagaTransition[],
  parts: TransitionParts,
  numbers: DefinitionNumbers | null,
): unknown[] {
  const values: unknown[] = [];
  if (parts.locks) {
    values.push(...keyLockValues(transitions.flatMap((one, at) => locksOf(one, at + 1))));
  }
  if (parts.becomes) {
    values.push(
      transitions.map(({ becomes }) => (becomes === null ? null : (numbers?.of(becomes) ?? null))),
    );
  }
  if (parts.outputs) values.push(...outputArrays(transitions.map(({ entries }) => entries)));
  if (parts.mail) {
    const places: number[] = [];
    const ids: string[] = [];
    for (const [at, { consumedMail }] of transitions.entries()) {
      for (const id of consumedMail) {
        places.push(at + 1);
        ids.push(id);
      }
    }
    values.push(places, ids);
  }
  if (numbers !== null) {
    if (parts.posts) values.push(...postedValues(transitions, numbers));
    if (parts.begins) values.push(...begunValues(transitions, numbers));
  }
  if (parts.messages) values.push(...messageArrays(transitions.map(({ messages }) => messages)));
  return values;
}

function wakeInMs({ ownership }: SagaTransition): number | null {
  return ownership.kind === 'give_back' ? ownership.wakeInMs : null;
}
