import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SagaRefusal } from '../../errors/index.js';
import { LATEST_DATA_CHARACTERS, type RecordedEntry } from '../../ports/index.js';
import {
  encodeEntry,
  errorRecord,
  ROLES,
  stepTask,
  type Role,
  type SagaEntry,
} from '../journal/index.js';
import { historyData, positionOf } from './index.js';

const AT = new Date('2026-01-01T00:00:00Z');
const later = (ms: number): Date => new Date(AT.getTime() + ms);
const error = errorRecord(new Error('no stock'));
const of = (role: Role, step: string, item: string | null = null) => ({
  role,
  step,
  item,
  attempt: 1,
});

function recorded(...entries: readonly SagaEntry[]): readonly RecordedEntry[] {
  return entries.map((entry, revision) => ({
    ...encodeEntry(entry),
    revision,
    ordinal: 0,
    transitionId: 't',
    recordedAt: AT,
  }));
}

const started = (role: Role, step: string): SagaEntry => ({
  ...of(role, step),
  kind: 'started',
  by: 'i',
  epoch: 1,
});
const sent: SagaEntry = {
  ...of('step', 'reserve'),
  kind: 'waiting',
  for: { kind: 'reply', messageId: 'm', type: 'stock.reserve', key: 'k' },
  timeoutMs: 60_000,
};

describe('where a saga stands', () => {
  it('is what it waits for: replies, attempts that run, and attempts to come', () => {
    const position = positionOf(
      recorded(
        { kind: 'saga_started', input: null },
        started('step', 'done'),
        { ...of('step', 'done'), kind: 'completed', output: 1 },
        started('step', 'reserve'),
        sent,
        started('step', 'charge'),
        { ...of('step', 'charge'), kind: 'attempt_failed', error, delayMs: 5_000, doubt: false },
        started('step', 'pack'),
      ),
    );
    expect(position).toMatchObject({ reason: null, detail: null, step: null });
    expect(position.waitsFor).toEqual([
      {
        ...of('step', 'reserve'),
        since: AT,
        waitsFor: { kind: 'reply', command: 'stock.reserve', until: later(60_000) },
      },
      {
        ...of('step', 'charge'),
        since: AT,
        waitsFor: { kind: 'next_attempt', at: later(5_000), error: 'no stock' },
      },
      { ...of('step', 'pack'), since: AT, waitsFor: { kind: 'attempt' } },
    ]);
  });

  it('has the reason and the step for which a person is needed, until that person has acted', () => {
    const failed = recorded(
      { kind: 'failing', failure: { kind: 'step', step: 'charge', item: null, error } },
      started('compensation', 'reserve'),
      { ...of('compensation', 'reserve'), kind: 'failed', error, doubt: false },
      {
        kind: 'needs_attention',
        reason: 'compensation_failed',
        detail: 'The compensation failed.',
      },
    );
    expect(positionOf(failed)).toEqual({
      reason: 'compensation_failed',
      detail: 'The compensation failed.',
      step: 'reserve',
      item: null,
      waitsFor: [],
    });
    const again = recorded({
      kind: 'retry_requested',
      again: [stepTask('compensation', 'reserve')],
    });
    // What the saga is undone for stays true while it is undone.
    expect(positionOf([...failed, ...again])).toMatchObject({
      reason: 'step_failed',
      detail: 'no stock',
      step: 'charge',
    });
  });

  it('has no reason any more when the step that failed begins again', () => {
    const asked = recorded(
      { ...of('step', 'pay'), kind: 'unknown', error },
      { kind: 'needs_attention', reason: 'pivot_unknown', detail: 'Was it paid?' },
    );
    expect(positionOf(asked)).toMatchObject({ reason: 'pivot_unknown', step: 'pay' });
    const request: SagaEntry = {
      kind: 'retry_requested',
      again: [stepTask('step', 'pay')],
      reason: 'the provider is back',
    };
    expect(positionOf([...asked, ...recorded(request)]).reason).toBeNull();
    const unread = recorded(request, started('step', 'pay')).map((entry) => ({
      ...entry,
      data: null,
    }));
    expect(positionOf([...asked, ...unread]).reason).toBeNull();
  });

  it('keeps what is known beside entries whose data is not', () => {
    const known = recorded(
      { ...of('step', 'charge'), kind: 'failed', error, doubt: false },
      { kind: 'failing', failure: { kind: 'cancelled', reason: 'by Ann' } },
    );
    const unread = recorded(
      { kind: 'failing', failure: { kind: 'deadline' } },
      { kind: 'needs_attention', reason: 'late_effect', detail: '' },
    ).map((entry) => ({ ...entry, data: null }));
    expect(positionOf([...known, ...unread])).toMatchObject({
      reason: 'cancelled',
      detail: 'by Ann',
    });
    expect(positionOf([...known.slice(0, 1), ...unread])).toMatchObject({
      reason: 'step_failed',
      step: 'charge',
    });
  });

  it('is told from the beginnings of long entries', () => {
    const long = errorRecord(new SagaRefusal('no_stock', { text: 'x'.repeat(20_000) }));
    const position = positionOf(
      recorded(
        { ...of('step', 'charge'), kind: 'attempt_failed', error: long, delayMs: 5, doubt: true },
        { kind: 'failing', failure: { kind: 'cancelled', reason: '"'.repeat(6_000) } },
      ).map(({ data, ...entry }) => ({
        ...entry,
        data: data?.slice(0, LATEST_DATA_CHARACTERS) ?? null,
      })),
    );
    expect(position).toMatchObject({ reason: 'cancelled', step: null });
    expect(position.detail).toMatch(/^"{3000,}…$/);
    expect(position.waitsFor).toMatchObject([
      { step: 'charge', waitsFor: { kind: 'next_attempt', at: later(5), error: long.message } },
    ]);
  });

  it('waits for the same also when an attempt that was abandoned succeeds late', () => {
    const late = { ...of('step', 'reserve'), kind: 'late_success', output: 1 } as const;
    expect(positionOf(recorded(sent, late)).waitsFor).toMatchObject([
      { step: 'reserve', waitsFor: { kind: 'reply' } },
    ]);
  });

  it.each([
    [{ kind: 'step', step: 'charge', item: null, error }, 'step_failed', 'no stock', 'charge'],
    [{ kind: 'cancelled', reason: 'by Ann' }, 'cancelled', 'by Ann', null],
    [{ kind: 'deadline' }, 'deadline', null, null],
  ] as const)('has the reason why it is undone: %j', (failure, reason, detail, step) => {
    expect(positionOf(recorded({ kind: 'failing', failure }, { kind: 'compensating' }))).toEqual({
      reason,
      detail,
      step,
      item: null,
      waitsFor: [],
    });
  });

  it('has the step that failed as its reason, unless a recovery has gone on from there', () => {
    const failed = recorded(started('step', 'charge'), {
      ...of('step', 'charge'),
      kind: 'failed',
      error,
      doubt: false,
    });
    expect(positionOf(failed)).toEqual({
      reason: 'step_failed',
      detail: 'no stock',
      step: 'charge',
      item: null,
      waitsFor: [],
    });
    const recovered = recorded({
      ...of('recovery', 'charge'),
      kind: 'completed',
      output: null,
    });
    expect(positionOf([...failed, ...recovered]).reason).toBeNull();
  });

  it('is told by the newest entry of each kind, step and item as by the whole journal', () => {
    const role = fc.constantFrom(...ROLES);
    const step = fc.constantFrom('a', 'b');
    const item = fc.constantFrom(null, '1', '2');
    const attempts = fc
      .record({ role, step, item, sent: fc.boolean(), end: fc.integer({ min: 0, max: 7 }) })
      .map(({ end, sent: isSent, ...ref }): readonly SagaEntry[] => {
        const task = { ...ref, attempt: 1 };
        const ends: readonly SagaEntry[] = [
          { ...task, kind: 'completed', output: 1 },
          { ...task, kind: 'failed', error, doubt: false },
          { ...task, kind: 'unknown', error },
          { ...task, kind: 'attempt_failed', error, delayMs: 5, doubt: true },
          { ...task, kind: 'crashed', delayMs: 5, doubt: true },
          { ...task, kind: 'released', doubt: true },
          { ...task, kind: 'late_success', output: 1 },
        ];
        const begin: SagaEntry = { ...started(ref.role, ref.step), ...task };
        return [begin, ...(isSent ? [{ ...sent, ...task }] : []), ...ends.slice(end, end + 1)];
      });
    const whole: readonly SagaEntry[] = [
      { kind: 'failing', failure: { kind: 'cancelled', reason: 'by Ann' } },
      { kind: 'compensating' },
      { kind: 'needs_attention', reason: 'compensation_failed', detail: 'a' },
      { kind: 'needs_attention', reason: 'pivot_unknown', detail: 'b' },
      { kind: 'retry_requested', again: [stepTask('step', 'a')], reason: '' },
    ];
    const parts = fc.array(
      fc.oneof(
        { arbitrary: attempts, weight: 3 },
        fc.constantFrom(...whole).map((one) => [one]),
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(parts, (lists) => {
        const all = recorded(...lists.flat());
        const newest = all.filter(
          (one, at) =>
            !all
              .slice(at + 1)
              .some(
                ({ kind, step, item }) =>
                  kind === one.kind && step === one.step && item === one.item,
              ),
        );
        expect(positionOf(newest)).toEqual(positionOf(all));
      }),
      { numRuns: 1_000 },
    );
  });

  it('is told as far as it can be where entries are damaged, or of a later version', () => {
    const [entry] = recorded({ kind: 'parked' });
    if (entry === undefined) throw new Error('no entry');
    const strange = [
      {
        ...entry,
        kind: 'step_waiting',
        step: 'a',
        data: '{"for":{"kind":"reply"},"timeoutMs":"soon"',
      },
      { ...entry, kind: 'step_waiting', step: 'c', data: '{"for":{"kind":"moon"}}' },
      { ...entry, kind: 'step_teleported', step: 'b', data: '[]' },
      { ...entry, kind: 'needs_attention', data: 'null' },
      { ...entry, kind: 'failing', data: '{"failure":7}' },
    ];
    expect(positionOf(strange).waitsFor.map(({ step }) => step)).toEqual(['a']);
    expect(historyData('{"a":')).toBe('{"a":');
    expect(historyData(null)).toBeNull();
  });
});
