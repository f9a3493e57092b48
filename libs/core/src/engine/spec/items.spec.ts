import { describe, expect, it } from 'vitest';
import type { Mail, NewMail } from '../../ports/index.js';
import { recordText } from '../../messaging/index.js';
import { Program } from '../../testing/index.js';
import { decide, lateMail, type DecisionContext, type SagaEvent } from '../decide/index.js';
import {
  decodeEntry,
  encodeEntry,
  readJournal,
  taskKeyOf,
  taskRef,
  type SagaEntry,
  type TaskRef,
} from '../journal/index.js';
import { emptyState, fold, taskOf, type SagaState } from '../state/index.js';
import { order } from './commands.fixture.js';

const DEFINITION = { name: 'order', version: 1 };
const NOW = 1_000_000;
const SAGA = '0190a000-0000-7000-8000-000000000000';
const item = (name: string): TaskRef => ({ role: 'step', step: 'reserve', item: name });
const [one, two] = [item('line-1'), item('line-2')];
const error = { name: 'Error', message: 'no stock' };

const started = (ref: TaskRef): SagaEntry => ({
  kind: 'started',
  ...ref,
  attempt: 1,
  by: 'another',
  epoch: 1,
});
const sent = (ref: TaskRef): SagaEntry => ({
  kind: 'waiting',
  ...ref,
  attempt: 1,
  for: {
    kind: 'reply',
    messageId: `message of ${String(ref.item)}`,
    type: 'inventory.reserve',
    key: taskKeyOf(SAGA, ref),
  },
  timeoutMs: 60_000,
});

function stateOf(...entries: readonly SagaEntry[]): SagaState {
  const state = emptyState();
  for (const entry of [{ kind: 'saga_started', input: null } as const, ...entries]) {
    fold(state, entry, NOW);
  }
  return state;
}

const context: DecisionContext = {
  definition: new Program(order).definition,
  sagaId: SAGA,
  tenant: '',
  incarnation: 'me',
  epoch: 2,
  now: NOW,
  backAt: 0,
  deadlineAt: null,
  permits: { steps: 0, transactional: 0, suspects: 0, alone: 0 },
  unsettled: () => false,
  random: () => 0,
  service: 'test',
  mayStart: true,
  handsOver: false,
  draining: false,
  shortDelayMs: 1_000,
  postponedUntil: () => 0,
  newMessageId: () => 'message',
};

const mailEvent = (mail: NewMail): SagaEvent => {
  const stored: Mail = { format: 1, ...mail, id: '1' };
  return { kind: 'mail', mail: stored };
};

/** The entries about tasks that the saga writes when it takes these events. */
function entriesOf(state: SagaState, ...events: readonly SagaEvent[]): readonly unknown[] {
  return decide(state, events, context).entries.flatMap((entry) =>
    'role' in entry ? [[entry.kind, entry.item]] : [],
  );
}

describe('two items of one step', () => {
  it('have states of their own', () => {
    const state = stateOf(
      started(one),
      started(two),
      { kind: 'completed', ...one, attempt: 1, output: 'shelf 1' },
      { kind: 'failed', ...two, attempt: 1, error, doubt: false },
    );
    expect(taskOf(state, one)).toMatchObject({ status: 'done', output: 'shelf 1', error: null });
    expect(taskOf(state, two)).toMatchObject({ status: 'failed', output: undefined, error });
    expect(taskOf(state, { ...one, item: null }).status).toBe('idle');
    expect(taskOf(state, { ...one, role: 'compensation' }).status).toBe('idle');
    expect(state.failures).toEqual([{ kind: 'step', step: 'reserve', item: 'line-2', error }]);
  });

  it('fail each for itself, and are tried again each for itself', () => {
    const state = stateOf(
      ...[one, two].map((ref): SagaEntry => ({
        kind: 'failed',
        ...ref,
        attempt: 1,
        error,
        doubt: false,
      })),
    );
    expect(state.failures).toHaveLength(2);
    fold(state, { kind: 'retry_requested', again: [one], reason: '' }, NOW);
    expect(taskOf(state, one).status).toBe('idle');
    expect(taskOf(state, two).status).toBe('failed');
    expect(state.failures).toMatchObject([{ item: 'line-2' }]);
  });

  it('come back from the journal as they were written', () => {
    const entries: readonly SagaEntry[] = [
      { kind: 'saga_started', input: null },
      started(one),
      started(two),
      sent(one),
      { kind: 'retry_requested', again: [one, two], reason: 'once more' },
    ];
    for (const entry of entries) expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
    const recorded = entries.map((entry, ordinal) => ({
      ...encodeEntry(entry),
      revision: 0,
      ordinal,
      transitionId: 't',
      recordedAt: new Date(NOW),
    }));
    expect(recorded.map((row) => row.item)).toEqual([null, 'line-1', 'line-2', 'line-1', null]);
    expect([...readJournal(recorded, 0)].map(({ entry }) => entry)).toEqual(entries);
  });

  it('have keys of their own, and an undo has that of its item', () => {
    expect(taskKeyOf(SAGA, one)).toBe(`${SAGA}:reserve:line-1`);
    expect(taskKeyOf(SAGA, { ...two, role: 'compensation' })).toBe(`${SAGA}:reserve:line-2`);
    expect(taskKeyOf(SAGA, { ...two, role: 'recovery' })).toBe(`${SAGA}:reserve:recovery:line-2`);
    expect(taskKeyOf(SAGA, { ...one, item: null })).toBe(`${SAGA}:reserve`);
  });

  it('get each the reply to its own command', () => {
    const state = stateOf(started(one), started(two), sent(one), sent(two));
    const reply = {
      status: 'ok',
      key: taskKeyOf(SAGA, two),
      repliesTo: 'command',
      answers: 'message of line-2',
      source: 'inventory',
      payload: '{"place":"b"}',
    };
    const data = recordText(reply) ?? '';
    const event = mailEvent({
      sagaId: SAGA,
      definition: DEFINITION,
      kind: 'reply',
      dedupeKey: 'r',
      data,
    });
    expect(entriesOf(state, event)).toEqual([['completed', 'line-2']]);
  });

  it('crash, succeed late and wait for their replies each for itself', () => {
    const running = stateOf(started(one), started(two));
    expect(entriesOf(running, { kind: 'adopted', from: 'another' })).toEqual([
      ['crashed', 'line-1'],
      ['crashed', 'line-2'],
    ]);
    const late = mailEvent(lateMail(SAGA, DEFINITION, two, 1, 'shelf 2'));
    expect(entriesOf(running, late)).toEqual([['late_success', 'line-2']]);
    const waiting = decide(stateOf(started(one), sent(one), started(two), sent(two)), [], {
      ...context,
      now: NOW + 60_000,
    });
    expect(waiting.entries.flatMap((entry) => ('role' in entry ? [taskRef(entry)] : []))).toEqual([
      one,
      two,
    ]);
  });
});
