import assert from 'node:assert/strict';
import { POSITION_LOOK, positionOf, type SagaPosition } from '../../engine/index.js';
import { newId } from '../../ids.js';
import { LATEST_DATA_CHARACTERS, type JournalEntry, type NewSaga } from '../../ports/index.js';
import type { ContractCase } from '../contract-case.js';
import { engine, entry, ownedSaga, transition, type SagaStoreFixture } from './saga-material.js';

const error = { name: 'Error', message: 'The server is away.' };

function task(kind: string, step: string, attempt: number, data: object): JournalEntry {
  return { kind, step, item: null, attempt, data: JSON.stringify(data) };
}

/** An entry of the kind `a` about an item of a step. */
function ofItem(item: string, step: string, data: object): JournalEntry {
  return { ...task('a', step, 1, data), item };
}

/** The data of an entry of a task that waits for the reply to a command. */
function awaits(type: string, timeoutMs: number): object {
  return { for: { kind: 'reply', type }, timeoutMs };
}

/** An attempt of a command whose reply is missing, as the engine journals it. */
function lostAttempt(role: string, step: string, attempt: number): readonly JournalEntry[] {
  return [
    task(`${role}_started`, step, attempt, { by: 'i', epoch: 1 }),
    task(`${role}_waiting`, step, attempt, awaits(`undo.${step}`, 60_000)),
    task(`${role}_attempt_failed`, step, attempt, { delayMs: 5_000, doubt: true, error }),
  ];
}

/** Journals transitions of a saga, each of these entries. */
async function record(
  { sagas }: SagaStoreFixture,
  saga: NewSaga,
  owner: string,
  transitions: readonly (readonly JournalEntry[])[],
): Promise<void> {
  for (const [revision, entries] of transitions.entries()) {
    const [outcome] = await sagas.flush([transition(saga, owner, { revision, entries })]);
    assert.equal(outcome?.kind, 'applied');
  }
}

async function positionIn({ other }: SagaStoreFixture, id: string): Promise<SagaPosition> {
  const latest = await other.latestEntries({ ids: [id], ...POSITION_LOOK });
  return positionOf(latest.get(id) ?? []);
}

export const latestEntriesCases: readonly ContractCase<SagaStoreFixture>[] = [
  {
    name: 'tells the newest entry of each kind, step and item of journals, in order',
    guards: 'A list of sagas says where each stands, and no step or item hides another.',
    async run(fixture) {
      const me = await engine(fixture);
      const [one, other] = [await ownedSaga(fixture, me), await ownedSaga(fixture, me)];
      await record(fixture, one, me, [
        [entry('a', '1'), task('a', 'x', 1, [2])],
        [entry('b', '3'), entry('a', '4'), task('a', 'y', 1, [5])],
        [ofItem('1', 'x', [8]), ofItem('2', 'x', [9])],
        [ofItem('1', 'x', [10])],
        [task('a', 'x', 2, [6]), entry('c', '7')],
      ]);
      const latest = await fixture.other.latestEntries({
        ids: [one.id, other.id, newId(), 'no-id'],
        transitions: 100,
        dataOf: ['a', 'b'],
      });
      assert.deepEqual(
        latest.get(one.id)?.map(({ kind, step, item, data }) => [kind, step, item, data]),
        [
          ['saga_started', null, null, null],
          ['b', null, null, '3'],
          ['a', null, null, '4'],
          ['a', 'y', null, '[5]'],
          ['a', 'x', '2', '[9]'],
          ['a', 'x', '1', '[10]'],
          ['a', 'x', null, '[6]'],
          ['c', null, null, null],
        ],
      );
      assert.deepEqual(
        latest.get(other.id)?.map(({ kind }) => kind),
        ['saga_started'],
      );
      assert.deepEqual([...latest.keys()].sort(), [one.id, other.id].sort());
      const whole = await fixture.other.history(one.id);
      const there = latest.get(one.id)?.map(({ revision, ordinal }) => [revision, ordinal]);
      assert.deepEqual(
        there,
        whole
          .filter((_, at) => ![1, 2, 6].includes(at))
          .map(({ revision, ordinal }) => [revision, ordinal]),
      );
    },
  },
  {
    name: 'looks at no more than the last transitions of a journal',
    guards: 'A list of sagas costs the same however long their histories are.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await record(fixture, saga, me, [
        [entry('a')],
        [entry('b'), entry('c')],
        [entry('d')],
        [entry('e')],
      ]);
      const look = { ids: [saga.id], transitions: 3, dataOf: [] };
      const latest = await fixture.other.latestEntries(look);
      assert.deepEqual(
        latest.get(saga.id)?.map(({ kind }) => kind),
        ['b', 'c', 'd', 'e'],
      );
    },
  },
  {
    name: 'tells the beginning of long data, counted in characters, and short data whole',
    guards:
      'A page of sagas with large outputs and errors does not fill the memory of who lists them.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      // Characters of one, two and three bytes; random, so that the text is not compressed to little.
      const text = (length: number): string =>
        Array.from({ length }, () => 'aü試'.charAt(Math.floor(Math.random() * 3))).join('');
      const long = `"${text(10_000)}"`;
      const pairs = `"${'😀'.repeat(10_000)}"`;
      const short = `"${text(LATEST_DATA_CHARACTERS - 2)}"`;
      await record(fixture, saga, me, [
        [entry('long', long), entry('pairs', pairs), entry('short', short), entry('output', long)],
      ]);
      const latest = await fixture.other.latestEntries({
        ids: [saga.id],
        transitions: 1,
        dataOf: ['long', 'pairs', 'short'],
      });
      const beginning = (data: string): string =>
        Array.from(data).slice(0, LATEST_DATA_CHARACTERS).join('');
      assert.deepEqual(
        latest.get(saga.id)?.map(({ kind, data }) => [kind, data]),
        [
          ['long', beginning(long)],
          ['pairs', beginning(pairs)],
          ['short', short],
          ['output', null],
        ],
      );
    },
  },
  {
    name: 'tells why a saga compensates while two of its compensations use up their attempts',
    guards: 'In an outage people see which step failed, and not only that something is undone.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const failed = { doubt: false, error: { name: 'Error', message: 'No stock.' } };
      const attempts = Array.from({ length: 12 }, (_, at) => at + 1);
      await record(fixture, saga, me, [
        [task('step_failed', 'reserve', 1, failed), entry('compensating')],
        ...attempts.flatMap((attempt) => [
          lostAttempt('compensation', 'pay', attempt),
          lostAttempt('compensation', 'ship', attempt),
        ]),
      ]);
      const { reason, detail, step, waitsFor } = await positionIn(fixture, saga.id);
      assert.deepEqual([reason, detail, step], ['step_failed', 'No stock.', 'reserve']);
      assert.deepEqual(
        waitsFor.map((one) => [one.step, one.attempt, one.waitsFor.kind]),
        [
          ['pay', 12, 'next_attempt'],
          ['ship', 12, 'next_attempt'],
        ],
      );
    },
  },
  {
    name: 'tells that a saga waits for a reply beside a step that is tried again and again',
    guards: 'The reply that a saga has waited for since yesterday is the one that people look for.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      await record(fixture, saga, me, [
        [task('step_waiting', 'approve', 1, awaits('office.approve', 86_400_000))],
        ...Array.from({ length: 100 }, (_, at) => lostAttempt('step', 'charge', at + 1)),
      ]);
      const { waitsFor } = await positionIn(fixture, saga.id);
      assert.deepEqual(
        waitsFor.map((one) => [one.step, one.waitsFor.kind]),
        [
          ['approve', 'reply'],
          ['charge', 'next_attempt'],
        ],
      );
      const [reply] = waitsFor;
      assert.ok(reply?.waitsFor.kind === 'reply');
      assert.equal(reply.waitsFor.command, 'office.approve');
      assert.equal(reply.waitsFor.until.getTime() - reply.since.getTime(), 86_400_000);
    },
  },
  {
    name: 'tells again why a saga compensates once a person has let it go on',
    guards: 'A retry of a compensation does not make the failure of a step invisible.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const failed = { doubt: false, error: { name: 'Error', message: 'No stock.' } };
      const parked = { reason: 'compensation_failed', detail: 'The server is away.' };
      const again = [{ role: 'compensation', step: 'pay' }];
      const undo = { by: 'i', epoch: 1 };
      await record(fixture, saga, me, [
        [task('step_failed', 'reserve', 1, failed), entry('compensating')],
        [task('compensation_started', 'pay', 1, undo)],
        [task('compensation_failed', 'pay', 1, { doubt: true, error })],
        [entry('needs_attention', JSON.stringify(parked))],
        [entry('retry_requested', JSON.stringify({ again, reason: 'It is back.' }))],
        [task('compensation_started', 'pay', 2, undo)],
      ]);
      const { reason, detail, step, waitsFor } = await positionIn(fixture, saga.id);
      assert.deepEqual([reason, detail, step], ['step_failed', 'No stock.', 'reserve']);
      assert.deepEqual(
        waitsFor.map((one) => [one.role, one.step, one.attempt, one.waitsFor.kind]),
        [['compensation', 'pay', 2, 'attempt']],
      );
    },
  },
  {
    name: 'tells reason, step and next attempt also when what failed said very much',
    guards:
      'An error of many words or a refusal with large details does not hide that it happened.',
    async run(fixture) {
      const me = await engine(fixture);
      const saga = await ownedSaga(fixture, me);
      const message = `No. ${'é'.repeat(3_900)}`;
      const refusal = { name: 'SagaRefusal', message, reason: 'no', details: 'x'.repeat(90_000) };
      await record(fixture, saga, me, [
        [task('step_failed', 'charge', 1, { doubt: false, error: refusal })],
        [
          task('compensation_attempt_failed', 'reserve', 1, {
            delayMs: 3_600_000,
            doubt: true,
            error: refusal,
          }),
        ],
      ]);
      const undoing = await positionIn(fixture, saga.id);
      assert.deepEqual([undoing.reason, undoing.step], ['step_failed', 'charge']);
      assert.equal(undoing.detail, message);
      const [next] = undoing.waitsFor;
      assert.ok(next?.waitsFor.kind === 'next_attempt');
      assert.equal(next.waitsFor.at.getTime() - next.since.getTime(), 3_600_000);
      assert.equal(next.waitsFor.error, message);
      const cancelled = await ownedSaga(fixture, me);
      const failure = { kind: 'cancelled', reason: '試'.repeat(4_000) };
      await record(fixture, cancelled, me, [[entry('failing', JSON.stringify({ failure }))]]);
      const { reason, detail } = await positionIn(fixture, cancelled.id);
      assert.deepEqual([reason, detail], ['cancelled', failure.reason]);
      const parked = await ownedSaga(fixture, me);
      const why = { reason: 'compensation_failed', detail: 'é'.repeat(7_000) };
      await record(fixture, parked, me, [
        [
          task('compensation_failed', 'reserve', 12, { doubt: true, error: refusal }),
          entry('needs_attention', JSON.stringify(why)),
        ],
      ]);
      assert.deepEqual(await positionIn(fixture, parked.id), {
        ...why,
        step: 'reserve',
        item: null,
        waitsFor: [],
      });
    },
  },
];
