import type { BegunSaga, FormattedDefinition, NewMail, SagaTransition } from '@sagaz/core';
import type { Queryable, SchemaName } from '../connection/index.js';
import type { Definitions } from './definitions.js';
import { entriesText, outputArrays } from './journal-rows.js';
import { mailArrays, NEW_COLUMNS } from './saga-mail.js';

/** The numbers of the definitions that transitions name. */
export interface DefinitionNumbers {
  /** 0: the definition has no number. */
  readonly ofMail: (definition: NewMail['definition']) => number;
  readonly of: (definition: FormattedDefinition) => number;
}

/** The number of parameters of {@link postedMail}. */
export const POSTED_VALUES = 7;
/** The number of parameters of {@link begunSagas}. */
export const BEGUN_VALUES = 14;

/** Whether a transition names a definition, whose number has to be known before it is written. */
export function namesDefinitions({ becomes, mail, sagas }: SagaTransition): boolean {
  return becomes !== null || mail.length > 0 || sagas.length > 0;
}

/** Learns the numbers of the definitions that transitions name. */
export async function numbersOf(
  definitions: Definitions,
  transitions: readonly SagaTransition[],
  on: Queryable,
): Promise<DefinitionNumbers> {
  const named = transitions.flatMap(({ becomes, sagas }) => [
    ...(becomes === null ? [] : [becomes]),
    ...sagas,
  ]);
  const numbers = await definitions.numbersOf(named, on);
  const mail = transitions.flatMap((one) => one.mail.flatMap(({ definition }) => definition ?? []));
  const byDefinition = new Map(named.map((one, at) => [textOf(one), numbers[at] ?? 0]));
  return {
    ofMail: await definitions.known(mail, on),
    of: (definition) => byDefinition.get(textOf(definition)) ?? 0,
  };
}

/** The part that puts mail for other sagas. @param first number of its first parameter */
export function postedMail({ quoted }: SchemaName, first: number): string {
  const given = parameters(first, ['int', 'uuid', 'text', 'text', 'text', 'int', 'smallint']);
  return `posted AS (
    INSERT INTO ${quoted}.saga_mail (${NEW_COLUMNS})
    SELECT p.saga_id, p.kind, p.dedupe_key, p.data, p.definition, p.format
    FROM unnest(${given}) WITH ORDINALITY AS p (place, ${NEW_COLUMNS}, nr) JOIN written c ON c.place = p.place
    ORDER BY p.saga_id, p.dedupe_key, p.nr
    ON CONFLICT (saga_id, dedupe_key) DO NOTHING
  )`;
}

export function postedValues(
  transitions: readonly SagaTransition[],
  numbers: DefinitionNumbers,
): unknown[] {
  const places = transitions.flatMap(({ mail }, at) => mail.map(() => at + 1));
  return [
    places,
    ...mailArrays(
      transitions.flatMap(({ mail }) => mail),
      numbers.ofMail,
    ),
  ];
}

/**
 * The part that starts sagas. One whose id is taken is left out: the primary key of the journal decides
 * that, as for other starts. @param first number of its first parameter
 */
export function begunSagas({ quoted }: SchemaName, first: number): string {
  const given = parameters(first, [
    'int',
    'uuid',
    'text',
    'int',
    'text',
    'text',
    'uuid',
    'float8',
    'float8',
    'uuid',
    'text',
  ]);
  const outputs = parameters(first + 11, ['int', 'int', 'text', 'bool']);
  return `begins AS MATERIALIZED (
    SELECT n.* FROM unnest(${given}) WITH ORDINALITY
      AS n (place, id, tenant, definition, digest, status, owner, wake_ms, deadline_ms, transition_id, entries, nr)
    JOIN written c ON c.place = n.place
  ), begun AS (
    INSERT INTO ${quoted}.saga_journal (saga_id, revision, transition_id, entries, input_digest)
    SELECT n.id, 0, n.transition_id, n.entries, n.digest FROM begins n ORDER BY n.id, n.nr
    ON CONFLICT DO NOTHING RETURNING saga_id, transition_id
  ), begun_rows AS (
    INSERT INTO ${quoted}.saga (id, tenant, definition, status, revision, owner, epoch, wake_at, deadline)
    SELECT n.id, n.tenant, n.definition, n.status, 0, n.owner, CASE WHEN n.owner IS NULL THEN 0 ELSE 1 END,
      CASE WHEN n.owner IS NULL THEN clock_timestamp() + n.wake_ms * interval '1 millisecond' END,
      clock_timestamp() + n.deadline_ms * interval '1 millisecond'
    FROM begun b JOIN begins n ON n.id = b.saga_id AND n.transition_id = b.transition_id
  ), begun_outputs AS (
    INSERT INTO ${quoted}.saga_output (saga_id, revision, ordinal, data, on_demand)
    SELECT n.id, 0, e.ordinal, e.data, e.on_demand FROM unnest(${outputs}) AS e (nr, ordinal, data, on_demand)
    JOIN begins n ON n.nr = e.nr
    JOIN begun b ON b.saga_id = n.id AND b.transition_id = n.transition_id
  )`;
}

export function begunValues(
  transitions: readonly SagaTransition[],
  numbers: DefinitionNumbers,
): unknown[] {
  const sagas = transitions.flatMap((one) => one.sagas);
  const each = (valueOf: (saga: BegunSaga) => unknown): unknown[] => sagas.map(valueOf);
  return [
    transitions.flatMap((one, at) => one.sagas.map(() => at + 1)),
    each(({ id }) => id),
    each(({ tenant }) => tenant),
    each(numbers.of),
    each(({ inputDigest }) => inputDigest),
    each(({ status }) => status),
    each(({ owner }) => owner),
    each(({ wakeInMs }) => wakeInMs),
    each(({ deadlineInMs }) => deadlineInMs),
    each(({ transitionId }) => transitionId),
    each(({ entries }) => entriesText(entries)),
    ...outputArrays(sagas.map(({ entries }) => entries)),
  ];
}

function parameters(first: number, types: readonly string[]): string {
  return types.map((type, at) => `$${String(first + at)}::${type}[]`).join(', ');
}

function textOf({ name, version, format }: FormattedDefinition): string {
  return JSON.stringify([name, version, format]);
}
